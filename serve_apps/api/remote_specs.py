"""What the schema of a job cannot say: is its provider set up, does its trainer take that, may its video be fetched?"""

from __future__ import annotations

from thornback.errors import AddressRefused, InvalidInput
from thornback.jobs.addresses import addresses
from thornback.jobs.prompts import expand
from thornback.jobs.spec import ImageSetSpec, JobSpec, RemoteLoraSpec, SweepSpec, VideoLoraSpec
from thornback.media.source import check_source
from thornback.net.s3 import check_s3, is_s3
from thornback.providers.catalogue import Catalogue
from thornback.providers.open import KEYS, configured
from thornback.settings import Settings

# Stands for what exists only after the job has begun; it is never asked for.
_ANY_DATASET = "https://dataset.invalid/images.zip"


def check_spec(spec: JobSpec, settings: Settings, catalogue: Catalogue) -> None:
    """Refuse at once what a provider would refuse, or fail with, later.

    Raises:
        InvalidInput: names the field, and what the trainer or model takes.
    """
    _check_buckets(spec, settings)
    if isinstance(spec, SweepSpec):
        for trial in spec.examples():
            check_spec(trial, settings, catalogue)
        return
    if isinstance(spec, VideoLoraSpec):
        _check_video(spec.config.video_url, settings)
        return check_spec(spec.training(_ANY_DATASET), settings, catalogue)
    if not isinstance(spec, RemoteLoraSpec | ImageSetSpec):
        return
    if spec.backend not in configured(settings):
        raise InvalidInput.field("backend", f"{spec.backend} is not set up here: set {KEYS[spec.backend]}")
    if isinstance(spec, RemoteLoraSpec):
        catalogue.trainer(spec.backend, spec.config.trainer).inputs_for(spec.config, _ANY_DATASET)
    else:
        config = spec.config
        longest = max(expand(config), key=len)
        catalogue.image_model(spec.backend, config.model).inputs_for(config, longest, config.seed)


def _check_buckets(spec: JobSpec, settings: Settings) -> None:
    for field, text in addresses(spec.config.model_dump(mode="json")):
        if is_s3(text):
            try:
                check_s3(text, settings)
            except AddressRefused as error:
                raise InvalidInput.field(field, error.message) from error


def _check_video(source: str, settings: Settings) -> None:
    try:
        check_source(source, settings)
    except InvalidInput as error:
        raise InvalidInput.field("config.video_url", error.details["errors"][0]["message"]) from error
    except AddressRefused as error:
        raise InvalidInput.field("config.video_url", error.message) from error
