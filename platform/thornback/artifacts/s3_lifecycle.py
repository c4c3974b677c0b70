"""The rules by which a bucket empties `temp/` and forgets broken uploads by itself."""

from __future__ import annotations

from typing import Any

from thornback.artifacts.s3 import S3Location
from thornback.artifacts.s3_store import asking, code_of

TEMP_DAYS = 1
ABORT_DAYS = 2
_NONE_YET = "NoSuchLifecycleConfiguration"


def rules_for(place: S3Location) -> list[dict[str, Any]]:
    """What the bucket is told for the storage at `place`; other storages in the same bucket have rules of their own."""
    base = f"{place.key}/" if place.key else ""
    return [
        {
            "ID": f"thornback-temp:{base}"[:255],
            "Filter": {"Prefix": f"{base}temp/"},
            "Status": "Enabled",
            "Expiration": {"Days": TEMP_DAYS},
            "NoncurrentVersionExpiration": {"NoncurrentDays": TEMP_DAYS},
        },
        {
            "ID": f"thornback-broken-uploads:{base}"[:255],
            "Filter": {"Prefix": base},
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_DAYS},
        },
    ]


def has_rules(place: S3Location) -> bool:
    """True where the bucket has these rules as they should be."""
    return _missing(place, _read(place)) == []


def install_rules(place: S3Location) -> bool:
    """Add these rules to the bucket's others, or put them right; False where nothing was to be done.

    Raises:
        NotFound: there is no such bucket.
        StorageUnavailable: these credentials may not do that, or S3 does not answer.
    """
    present = _read(place)
    missing = _missing(place, present)
    if not missing:
        return False
    names = {rule["ID"] for rule in missing}
    kept = [rule for rule in present.get("Rules", ()) if rule.get("ID") not in names]
    size = {name: present[name] for name in ("TransitionDefaultMinimumObjectSize",) if name in present}
    with asking(place.path):
        place.store.client.put_bucket_lifecycle_configuration(
            Bucket=place.bucket, LifecycleConfiguration={"Rules": [*kept, *missing]}, **size
        )
    return True


def _read(place: S3Location) -> dict[str, Any]:
    from botocore.exceptions import ClientError

    with asking(place.path):
        try:
            found: dict[str, Any] = place.store.client.get_bucket_lifecycle_configuration(Bucket=place.bucket)
        except ClientError as error:
            if code_of(error) != _NONE_YET:
                raise
            return {}
        return found


def _missing(place: S3Location, present: dict[str, Any]) -> list[dict[str, Any]]:
    by_id = {rule.get("ID"): rule for rule in present.get("Rules", ())}
    return [rule for rule in rules_for(place) if by_id.get(rule["ID"]) != rule]
