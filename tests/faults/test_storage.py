"""S3 over a bad network, and an upload that is killed in the middle: a file is whole, or it is not there."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore import endpoint as botocore_endpoint

from tests.fixtures.fault_proxy import Fault, fault_proxy, share
from tests.fixtures.s3 import KEY, SECRET, S3Server
from thornback.artifacts import s3 as s3_module
from thornback.artifacts.files import join, locate
from thornback.artifacts.s3 import S3Location
from thornback.artifacts.s3_lifecycle import has_rules, install_rules, rules_for

FILES, LARGE, PART = 200, 10, 5 << 20
UPLOAD = """
import sys
from pathlib import Path
from thornback.artifacts import s3
from thornback.artifacts.files import locate
s3.PART_BYTES = 5 << 20
locate(sys.argv[1]).upload(Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_where_a_fifth_of_the_requests_fails_no_file_is_damaged(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(botocore_endpoint.time, "sleep", lambda _seconds: None)  # boto3 tries again at once
    monkeypatch.setattr(s3_module, "PART_BYTES", PART)
    chance, sums = random.Random(13), {}
    with fault_proxy(s3.endpoint, share(0.2, seed=13)) as proxy:
        base = S3Server(proxy.endpoint).uri(s3.make_bucket(), "base")
        for number in range(FILES):
            size = chance.randrange(PART, 3 * PART) if number % (FILES // LARGE) == 0 else chance.randrange(20_000)
            path = tmp_path / "up"
            path.write_bytes(chance.randbytes(size))
            sums[f"{number}"] = hashlib.sha256(path.read_bytes()).hexdigest()
            locate(join(base, f"{number}")).upload(path)
        assert [entry.path for entry in locate(base).files()] == sorted(sums)
        for name, wanted in sums.items():
            locate(join(base, name)).download(tmp_path / "down")
            assert hashlib.sha256((tmp_path / "down").read_bytes()).hexdigest() == wanted
    assert set(proxy.faults) == set(Fault)
    print(f"\n{FILES} files, {proxy.requests} requests, {proxy.faults.total()} faults, 0 damaged")


def test_an_upload_that_is_killed_leaves_nothing_half(s3: S3Server, tmp_path: Path) -> None:
    bucket, file = s3.make_bucket(), tmp_path / "model.safetensors"
    file.write_bytes(random.Random(3).randbytes(4 * PART))
    uploads: list[subprocess.Popen[bytes]] = []

    def kill_at_the_third_part(_method: str, path: str) -> Fault | None:
        if "partNumber=3" not in path:
            return None
        os.kill(uploads[0].pid, signal.SIGKILL)
        return Fault.CUT_REQUEST

    with fault_proxy(s3.endpoint) as proxy:
        uri = S3Server(proxy.endpoint).uri(bucket, "base/loras/model")
        proxy.decide = kill_at_the_third_part
        uploads.append(subprocess.Popen([sys.executable, "-c", UPLOAD, uri, str(file)]))
        assert uploads[0].wait(120) == -signal.SIGKILL
    there = locate(s3.uri(bucket, "base/loras/model"))
    assert not there.exists()
    assert locate(s3.uri(bucket, "base")).files() == []

    # What was sent costs until the bucket forgets it, which it is told to.
    client = boto3.client(
        "s3", endpoint_url=s3.endpoint, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )
    [left] = client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    base = locate(s3.uri(bucket, "base"))
    assert isinstance(base, S3Location)
    assert install_rules(base)
    assert has_rules(base)
    forget = [rule for rule in rules_for(base) if "AbortIncompleteMultipartUpload" in rule]
    assert [left["Key"].startswith(rule["Filter"]["Prefix"]) for rule in forget] == [True]

    there.upload(file)
    assert there.read_bytes() == file.read_bytes()
