from __future__ import annotations

from pathlib import Path

import pytest

from thornback.errors import AddressRefused
from thornback.jobs.convnext import TrainingConfig
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
