from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.s3 import KEY, SECRET, S3Server
from thornback.artifacts.files import locate
from thornback.datasets.radio import make_radio_dataset
from thornback.datasets.source import ClipSource
from thornback.errors import AddressRefused
from thornback.jobs.convnext import TrainingConfig
from thornback.net.s3 import without_key
from thornback.settings import Settings
from train_jobs.convnext.plan import RunFolder
from train_jobs.convnext.prepare import prepare_dataset


def test_a_manifest_leads_to_no_bucket_that_its_user_could_not_name(tmp_path: Path) -> None:
    """Before anything of it is opened."""
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(
        "path,label\n" + "".join(f"s3://secret/{label}/{n}.wav,{label}\n" for label in "ab" for n in "12")
    )
    settings = Settings(home=tmp_path, fetch_buckets="sounds")
    with pytest.raises(AddressRefused, match="the bucket secret is not allowed"):
        prepare_dataset(TrainingConfig(data=str(manifest)), RunFolder(uri=str(tmp_path / "run")), settings)


def test_the_platforms_own_bucket_is_read_with_the_key_of_its_storage(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    bucket = s3.make_bucket()
    make_radio_dataset(tmp_path / "radio", clips=40, seed=1)
    for file in (path for path in (tmp_path / "radio").rglob("*") if path.is_file()):
        locate(s3.uri(bucket, f"radio/{file.relative_to(tmp_path / 'radio')}")).upload(file)
    storage, address = s3.uri(bucket, "platform"), without_key(s3.uri(bucket, "radio"))
    settings = Settings(home=tmp_path, storage=storage)
    folder = RunFolder(uri=s3.uri(bucket, "platform/runs/1"))
    config = TrainingConfig(data=address)
    found = prepare_dataset(config, folder, settings)
    again = prepare_dataset(config, folder, settings)
    assert (again.root, again.report) == (found.root, found.report)
    assert KEY in again.root
    assert f"{KEY}:{SECRET}@".encode() not in locate(folder.index).read_bytes()
    clip = again.train[0]
    assert len(ClipSource(again.root).read(clip, 8000)) > 0
