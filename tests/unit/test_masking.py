"""Keys do not get into logs, errors and specifications."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.api import FIRST, JOBS, ApiPlatform, now
from thornback.errors import SettingsError
from thornback.jobs.events import EventFactory
from thornback.jobs.status import FailureReason
from thornback.log import configure_logging, get_logger
from thornback.masking import MASK, Masker, mask_shapes
from thornback.secret_settings import private_variables, secret_fields, without_private
from thornback.settings import Settings, load_settings

HEX = "0123456789abcdef"
KEYS = {
    "tbk_" + "aB3_-" * 8: "{}",
    "r8_" + "Xy1" * 12: "Token {} was refused",
    "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": "secret={}",
    "AKIA" + "IOSFODNN7EXAMPLE": "key {}.",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY": "AWS_SECRET_ACCESS_KEY={}",
    "hf_" + "abcDEF123" * 4: "HF: {}",
    f"01935c1e-6f4a-7c3e-9b1d-2f6a8c0d4e11:{HEX * 2}": "fal {}",
    "pa55/w0rd": "s3://AKIAIOSFODNN7EXAMPLE:{}@bucket/key",
    "hunter22": "postgresql://thornback:{}@db.internal/thornback",
    "abcdef0123456789": "https://bucket.s3.test/x?X-Amz-Signature={}&X-Amz-Date=1",
    "deadbeefdeadbeef": "{{'Authorization': 'Key {}'}}",
    "correct-horse": '{{"password": "{}"}}',
}
PLAIN = (
    "step 5 loss: 0.25 tokens: 500 lr=1e-4",
    "Epoch 1/3  50%|#####     | 5/10 [00:01<00:01, 5.00it/s]",
    "job 01935c1e-6f4a-7c3e-9b1d-2f6a8c0d4e11 at http://127.0.0.1:8001/#/jobs",
    "mail to somebody@example.org: done",
)


@pytest.mark.parametrize(("key", "text"), KEYS.items())
def test_what_looks_like_a_key_is_left_out(key: str, text: str) -> None:
    shown = mask_shapes(text.format(key))
    assert key not in shown
    assert MASK in shown


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_none_stays(text: str) -> None:
    assert mask_shapes(text) == text


@given(st.text(), st.text(min_size=8), st.text())
def test_a_known_value_is_never_left(before: str, value: str, after: str) -> None:
    assert value not in Masker([value])(before + value + after).replace(MASK, "")


def test_the_log_tells_no_key(capsys: pytest.CaptureFixture[str]) -> None:
    secret = "a value of no known shape"
    try:
        configure_logging("INFO", secrets=[secret])
        error = RuntimeError(f"refused: {secret}")
        get_logger("test").error("it failed", key=[{"in": secret}], error=error, exc_info=error, at=f"x{secret}y")
        get_logger("test").info("\x1b[2Jcleared \x9b31m")
    finally:
        structlog.reset_defaults()
    written = capsys.readouterr().err
    assert secret not in written
    assert written.count(MASK) >= 4
    assert "\\u001b" not in written


def test_events_tell_no_key() -> None:
    events, key = EventFactory("a job"), next(iter(KEYS))
    line = events.log(FIRST, rank=0, seq=1, lines=[f"export X={key}", "fine"], at=now())
    end = events.failed(FIRST, reason=FailureReason.EXCEPTION, message=f"refused {key}", at=now())
    assert key not in json.dumps([line.data, end.data])
    assert line.data["lines"][1] == "fine"


async def test_problems_tell_no_key(api: ApiPlatform) -> None:
    key = next(iter(KEYS))
    async with api.client() as client:
        answers = [
            await client.post(JOBS, json={"job_name": "x", "config": {key: 1}}),
            await client.get(f"{JOBS}?status={key}"),
            await client.post(JOBS, json={"job_name": "x", "kind": key}),
        ]
    assert [answer.status_code for answer in answers] == [422] * 3
    assert all(key not in answer.text for answer in answers)


def test_settings_say_which_of_them_are_secret(tmp_path: Path) -> None:
    for name in Settings.model_fields:
        is_named_so = any(part in name for part in ("secret", "token", "password")) or name.endswith("_key")
        assert (name in secret_fields(Settings)) or not is_named_so, f"{name} needs repr=False"
    settings = Settings(
        home=tmp_path,
        database_url="postgresql://me:in-the-address@db/x",
        replicate_webhook_secrets="whsec_one,whsec_two",
        api_key="tbk_three",
    )
    assert {"in-the-address", "whsec_one", "whsec_two", "tbk_three"} <= set(settings.secrets)
    assert not any(secret in repr(settings) for secret in ("whsec_one", "tbk_three"))


def test_a_secret_out_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("THORNBACK_HOME", str(tmp_path))
    monkeypatch.setenv("THORNBACK_FAL_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("THORNBACK_DATABASE_URL_FILE", str(tmp_path / "key"))
    assert (load_settings().fal_key, load_settings().database_url) == ("from a file", "from a file")
    monkeypatch.setenv("THORNBACK_FAL_KEY", "the variable itself")
    assert load_settings().fal_key == "the variable itself"
    monkeypatch.setenv("THORNBACK_REPLICATE_API_TOKEN_FILE", str(tmp_path / "gone"))
    with pytest.raises(SettingsError, match="THORNBACK_REPLICATE_API_TOKEN_FILE"):
        load_settings()


def test_private_variables_are_kept_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    private = private_variables(Settings)
    named: dict[str, Any] = dict.fromkeys(private, "x")
    assert {"REPLICATE_API_TOKEN", "FAL_KEY", "THORNBACK_FAL_KEY_FILE", "THORNBACK_DATABASE_URL"} <= named.keys()
    for name in named:
        monkeypatch.setenv(name, "x")
    left = without_private(Settings)
    assert not private & left.keys()
    assert "PATH" in left
