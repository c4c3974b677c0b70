"""Secrets that are kept encrypted."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from thornback.access.sealing import KEY_FILE, Sealer
from thornback.errors import SettingsError
from thornback.settings import Settings

SECRET = "whsec_c2VjcmV0IG9mIGEgd2ViaG9vaywgMzIgYnl0ZXM="


def key() -> str:
    return Fernet.generate_key().decode()


def test_without_a_setting_a_key_is_made_once_that_nobody_else_can_read(tmp_path: Path) -> None:
    home = tmp_path / "home"
    kept = Sealer(Settings(home=home)).seal(SECRET)
    assert SECRET not in kept
    assert stat.S_IMODE((home / KEY_FILE).stat().st_mode) == 0o600
    assert Sealer(Settings(home=home)).open(kept) == SECRET
    (home / KEY_FILE).unlink()
    with pytest.raises(SettingsError, match="is not there any more"):
        Sealer(Settings(home=home)).open(kept)


def test_keys_are_replaced_one_after_the_other(tmp_path: Path) -> None:
    old, new = key(), key()
    first = Sealer(Settings(home=tmp_path, encryption_keys=old)).seal(SECRET)
    both = Sealer(Settings(home=tmp_path, encryption_keys=f"{new}, {old}"))
    second = both.seal(SECRET)
    assert both.open(first) == both.open(second) == SECRET
    only_new = Sealer(Settings(home=tmp_path, encryption_keys=new))
    assert only_new.open(second) == SECRET
    with pytest.raises(SettingsError, match="THORNBACK_ENCRYPTION_KEYS"):
        only_new.open(first)
    assert not (tmp_path / KEY_FILE).exists()


def test_what_was_kept_in_plain_goes_on(tmp_path: Path) -> None:
    sealer = Sealer(Settings(home=tmp_path))
    assert sealer.open(SECRET) == SECRET
    assert sealer.open(None) is None
    assert not (tmp_path / KEY_FILE).exists()


def test_a_key_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="32 bytes"):
        Sealer(Settings(home=tmp_path, encryption_keys="hello")).seal(SECRET)
