"""Downloads: whole, in part, as an archive; never anything that the job did not name."""

from __future__ import annotations

import io
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from serve_apps.api.files import parse_range
from serve_apps.api.problems import RangeNotSatisfiable
from serve_apps.api.views import event_message
from tests.fixtures.api import JOBS, ApiPlatform, Reports, now
from thornback.jobs.events import EventKind
from thornback.metrics.port import StreamEvent

CONTENT = bytes(range(256)) * 20_000  # more than one piece


class Run:
    """A job with its run folder."""

    def __init__(self, api: ApiPlatform, job_id: str) -> None:
        self.job_id = job_id
        self.folder = Path(api.settings.run_uri(job_id))
        self.folder.mkdir(parents=True)
        self._api = api
        self._reports = Reports(job_id)
        self.url = f"{JOBS}/{job_id}/artifacts"

    async def keep(self, name: str, place: Path, **facts: Any) -> None:
        await self._api.record(self._reports.artifact(name, str(place), **facts))


@pytest.fixture
async def run(api: ApiPlatform) -> Run:
    """A run with a model file and a checkpoint folder."""
    run = Run(api, (await api.create()).id)
    model = run.folder / "model.onnx"
    model.write_bytes(CONTENT)
    (run.folder / "checkpoint_3" / "rank").mkdir(parents=True)
    (run.folder / "checkpoint_3" / "model.pt").write_bytes(b"weights")
    (run.folder / "checkpoint_3" / "rank" / "0.pt").write_bytes(b"x" * 513)
    (run.folder / "secret.txt").write_bytes(b"not an artifact")
    digest = sha256(CONTENT).hexdigest()
    await run.keep("model.onnx", model, type="onnx", size_bytes=len(CONTENT), sha256=digest)
    await run.keep("checkpoints/3", run.folder / "checkpoint_3")
    return run


async def test_no_key_to_the_storage_is_shown(api: ApiPlatform, run: Run) -> None:
    uri = f"s3://AKID:hush@bucket/runs/{run.job_id}/last?region=us-east-1"
    await api.record(Reports(run.job_id).artifact("checkpoint", uri, type="checkpoint"))
    async with api.client() as client:
        answers = [await client.get(url) for url in (run.url, f"{JOBS}/{run.job_id}", f"{run.url}/checkpoint")]
    event = StreamEvent(id=1, job_id=run.job_id, kind=EventKind.ARTIFACT, at=now(), data={"uri": uri})
    shown = "".join([*(answer.text for answer in answers), str(event_message(event))])
    assert f"s3://bucket/runs/{run.job_id}/last" in shown
    assert "hush" not in shown


async def test_the_list_says_what_there_is_and_where(api: ApiPlatform, run: Run) -> None:
    async with api.client() as client:
        body = (await client.get(run.url)).json()
        downloads = [await client.get(artifact["url"]) for artifact in body["artifacts"]]
    assert [(artifact["name"], artifact["type"]) for artifact in body["artifacts"]] == [
        ("checkpoints/3", "checkpoint"),
        ("model.onnx", "onnx"),
    ]
    assert body["artifacts"][1]["size_bytes"] == len(CONTENT)
    assert [answer.status_code for answer in downloads] == [200, 200]


async def test_a_file_as_a_whole(api: ApiPlatform, run: Run) -> None:
    async with api.client() as client:
        answer = await client.get(f"{run.url}/model.onnx")
    assert answer.content == CONTENT
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["content-disposition"].startswith('attachment; filename="model.onnx"')
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["etag"] == f'"{sha256(CONTENT).hexdigest()}"'


async def test_a_sample_is_shown_as_a_picture_and_nothing_else_is(api: ApiPlatform, run: Run) -> None:
    for name in ("sample-00000001-0.png", "page.html", "plot.png"):
        (run.folder / name).write_bytes(b"\x89PNG")
        await run.keep(name, run.folder / name, type="report" if name == "plot.png" else "sample")
    async with api.client() as client:
        answers = [await client.get(f"{run.url}/{name}") for name in ("sample-00000001-0.png", "page.html", "plot.png")]
    kinds = [
        (answer.headers["content-type"], answer.headers["content-disposition"].partition(";")[0]) for answer in answers
    ]
    assert kinds == [("image/png", "inline"), *[("application/octet-stream", "attachment")] * 2]


async def test_a_download_goes_on_where_it_broke_off(api: ApiPlatform, run: Run) -> None:
    async with api.client() as client:
        first = await client.get(f"{run.url}/model.onnx", headers={"Range": "bytes=0-999999"})
        headers = {"Range": "bytes=1000000-", "If-Range": first.headers["etag"]}
        rest = await client.get(f"{run.url}/model.onnx", headers=headers)
        changed = await client.get(f"{run.url}/model.onnx", headers=headers | {"If-Range": '"another"'})
        beyond = await client.get(f"{run.url}/model.onnx", headers={"Range": f"bytes={len(CONTENT)}-"})
    assert (first.status_code, rest.status_code) == (206, 206)
    assert rest.headers["content-range"] == f"bytes 1000000-{len(CONTENT) - 1}/{len(CONTENT)}"
    assert first.content + rest.content == CONTENT
    assert (changed.status_code, changed.content) == (200, CONTENT)
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")


async def test_a_folder_is_a_tar_archive(api: ApiPlatform, run: Run) -> None:
    async with api.client() as client:
        answer = await client.get(f"{run.url}/checkpoints/3")
        single = await client.get(f"{run.url}/checkpoints/3/rank/0.pt")
    assert answer.headers["content-type"] == "application/x-tar"
    assert '"3.tar"' in answer.headers["content-disposition"]
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert files == {"model.pt": b"weights", "rank/0.pt": b"x" * 513}
    assert single.content == b"x" * 513


@pytest.mark.parametrize(
    "name",
    [
        "secret.txt",
        "model.onnx/secret.txt",
        "checkpoints/3/../secret.txt",
        "checkpoints/3/..%2fsecret.txt",
        "checkpoints/3/%2e%2e/secret.txt",
        "checkpoints/3//etc/passwd",
        "%2fetc%2fpasswd",
        "checkpoints",
        "checkpoints/3/nothing",
    ],
)
async def test_only_names_that_the_job_knows(api: ApiPlatform, run: Run, name: str) -> None:
    async with api.client() as client:
        answer = await client.get(f"{run.url}/{name}")
    assert answer.status_code == 404
    assert b"not an artifact" not in answer.content


async def test_nothing_outside_the_run_folder(api: ApiPlatform, run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("private")
    (run.folder / "link.txt").symlink_to(outside)
    await run.keep("direct", outside)
    await run.keep("linked", run.folder / "link.txt")
    await run.keep("dotted", run.folder / ".." / ".." / "outside.txt")
    await run.keep("prefix", Path(f"{run.folder}x"))
    await run.keep("gone", run.folder / "gone.bin")
    async with api.client() as client:
        answers = [await client.get(f"{run.url}/{name}") for name in ("direct", "linked", "dotted", "prefix", "gone")]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert not [answer for answer in answers if "private" in answer.text]


async def test_a_link_inside_a_folder_leads_nowhere(api: ApiPlatform, run: Run, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("private")
    (run.folder / "checkpoint_3" / "link.pt").symlink_to(tmp_path / "outside.txt")
    async with api.client() as client:
        single = await client.get(f"{run.url}/checkpoints/3/link.pt")
        archive = await client.get(f"{run.url}/checkpoints/3")
    assert single.status_code == 404
    assert b"private" not in archive.content


async def test_any_name_makes_a_valid_header(api: ApiPlatform, run: Run) -> None:
    file = run.folder / "plain.bin"
    file.write_bytes(b"1")
    await run.keep('größe "x"; a.bin', file)
    async with api.client() as client:
        listed = (await client.get(run.url)).json()["artifacts"]
        url = next(artifact["url"] for artifact in listed if "größe" in artifact["name"])
        answer = await client.get(url)
    assert answer.status_code == 200
    assert 'filename="gr__e _x__ a.bin"' in answer.headers["content-disposition"]
    assert "filename*=UTF-8''gr%C3%B6%C3%9Fe" in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-5", (2, 4)),
        ("bytes=5-", (5, 5)),
        ("bytes=-3", (7, 3)),
        ("bytes=-30", (0, 10)),
        ("bytes=0-99", (0, 10)),
        ("bytes=5-2", None),  # not a range
        ("bytes=0-1,4-5", None),  # several: the whole file is an allowed answer
        ("lines=1-2", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
    ],
)
def test_ranges(header: str, expected: tuple[int, int] | None) -> None:
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=0-", 0), ("bytes=-5", 0), ("bytes=-0", 10)])
def test_ranges_behind_the_end(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, size)
