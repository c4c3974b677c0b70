from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.s3 import S3Server
from thornback.artifacts.files import locate
from thornback.artifacts.s3 import S3Location
from thornback.artifacts.s3_lifecycle import has_rules, install_rules
from thornback.errors import NotFound

OTHER = {"ID": "logs", "Filter": {"Prefix": "logs/"}, "Status": "Enabled", "Expiration": {"Days": 30}}


def storage(s3: S3Server, bucket: str, path: str) -> S3Location:
    place = locate(s3.uri(bucket, path))
    assert isinstance(place, S3Location)
    return place


def rules(place: S3Location) -> dict[str, Any]:
    found = place.store.client.get_bucket_lifecycle_configuration(Bucket=place.bucket)["Rules"]
    return {rule["ID"]: rule for rule in found}


def test_rules_are_installed_once_beside_the_others(s3: S3Server) -> None:
    place = storage(s3, s3.make_bucket(), "runs")
    place.store.client.put_bucket_lifecycle_configuration(
        Bucket=place.bucket, LifecycleConfiguration={"Rules": [OTHER]}
    )
    assert not has_rules(place)
    assert install_rules(place)
    assert has_rules(place)
    assert not install_rules(place)
    found = rules(place)
    assert found.pop("logs") == OTHER
    temp, broken = found.pop("thornback-temp:runs/"), found.pop("thornback-broken-uploads:runs/")
    assert (temp["Filter"], temp["Expiration"], temp["Status"]) == ({"Prefix": "runs/temp/"}, {"Days": 1}, "Enabled")
    assert broken["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
    assert found == {}


def test_a_rule_that_somebody_switched_off_is_put_right(s3: S3Server) -> None:
    place = storage(s3, s3.make_bucket(), "")
    assert install_rules(place)
    changed = list(rules(place).values())
    changed[0]["Status"] = "Disabled"
    place.store.client.put_bucket_lifecycle_configuration(
        Bucket=place.bucket, LifecycleConfiguration={"Rules": changed}
    )
    assert not has_rules(place)
    assert install_rules(place)
    assert {rule["Status"] for rule in rules(place).values()} == {"Enabled"}
    assert len(rules(place)) == 2


def test_two_storages_share_a_bucket(s3: S3Server) -> None:
    first = storage(s3, s3.make_bucket(), "one")
    second = storage(s3, first.bucket, "two")
    assert install_rules(first)
    assert install_rules(second)
    assert has_rules(first)
    assert len(rules(second)) == 4


def test_without_a_bucket_there_are_no_rules(s3: S3Server) -> None:
    with pytest.raises(NotFound, match="bucket"):
        install_rules(storage(s3, "no-such-bucket-here", "x"))
