"""Uploads, videos, addresses of users, and caches."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings

from thornback.settings.values import AbsolutePath

DEFAULT_FETCH_PORTS = (80, 443, 8080, 8443)


class Files(BaseSettings):
    """Uploads, videos, addresses of users, and caches."""

    face_model: Annotated[
        AbsolutePath | None,
        Field(description="A YuNet model (ONNX) that finds faces, for datasets that keep only frames with one."),
    ] = None
    captions_url: Annotated[
        str | None, Field(description="The endpoint that THORNBACK_CAPTIONS_KEY is for; no other is told it.")
    ] = None
    captions_key: Annotated[
        str | None,
        Field(
            repr=False,
            description="For the server of THORNBACK_CAPTIONS_URL; in thornback.env, or drivers will not have it.",
        ),
    ] = None
    dataset_max_bytes: Annotated[
        int, Field(ge=1024, description="Greatest ZIP of pictures, uploaded or made for a provider; and all it holds.")
    ] = 2 << 30
    uploads: Annotated[
        AbsolutePath | None,
        Field(
            description="A folder for uploads that are not whole yet; empty: uploads in home. API replicas on several "
            "machines need one folder that all of them see, on a file system whose locks hold between machines."
        ),
    ] = None
    upload_keep_hours: Annotated[
        float, Field(gt=0, le=8760, description="An unfinished upload is removed so long after its last byte.")
    ] = 24.0
    upload_keep_days: Annotated[
        float,
        Field(
            gt=0,
            le=36_500,
            description="A whole upload goes with the last job that names it, or so long after it was sent where no "
            "unfinished job does.",
        ),
    ] = 30.0
    fetch_allow: Annotated[
        str,
        Field(
            description="Hosts and networks that addresses of users and providers may lead to though they are not "
            "public, with commas, e.g. minio.internal,10.1.0.0/16,127.0.0.1:8099."
        ),
    ] = ""
    fetch_buckets: Annotated[
        str,
        Field(
            description="Buckets that s3:// addresses of users may name, which are read with the platform's own "
            "credentials, with commas, e.g. films,scans-*; empty: any where nobody has to sign in, else none."
        ),
    ] = ""
    fetch_ports: Annotated[
        tuple[Annotated[int, Field(ge=1, le=65_535)], ...],
        Field(description="The ports that such addresses may name; a host above is allowed all of its own."),
    ] = DEFAULT_FETCH_PORTS
    allow_local_paths: Annotated[
        bool | None,
        Field(
            description="Whether a video may be named by its path on the machine that works on it; empty: where the "
            "API listens on loopback alone."
        ),
    ] = None
    video_max_bytes: Annotated[int, Field(ge=1024, description="Greatest file of a video.")] = 20 << 30
    video_max_seconds: Annotated[float, Field(gt=0, description="Longest video.")] = 4 * 3600.0
    video_max_pixels: Annotated[
        int, Field(ge=1024, le=8192 * 8192, description="Greatest picture of a video: width by height.")
    ] = 8192 * 4320
    video_fetch_s: Annotated[float, Field(gt=0, description="A video that is not here after so long is given up.")] = (
        3600.0
    )
    media_cache: Annotated[
        AbsolutePath | None,
        Field(
            description="Videos and what was found in them, on each machine that works on such; empty: media in home."
        ),
    ] = None
    media_cache_max_bytes: Annotated[
        int, Field(ge=0, description="From here on what was not used for longest is deleted of them.")
    ] = 50 << 30
    node_cache: Annotated[
        AbsolutePath | None,
        Field(description="Copies of what trainings read from s3://, on each machine; empty: cache in home."),
    ] = None
    node_cache_max_bytes: Annotated[
        int, Field(ge=0, description="From here on what was not used for longest is deleted of them; 0: keep none.")
    ] = 50 << 30
    disk_floor_bytes: Annotated[
        int, Field(ge=0, description="So much of the disk is left free by videos, what is made of them, and copies.")
    ] = 2 << 30
