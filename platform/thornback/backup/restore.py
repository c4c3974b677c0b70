"""Put a backup back: files first and rows after them, so that a row never waits for its file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from thornback.artifacts.files import Location, locate, without_secrets
from thornback.backup.manifest import DATABASE, FILES, LEFT_OUT, Manifest, below, fetch, read_manifest, verify
from thornback.errors import Conflict
from thornback.settings import Settings
from thornback.store.engine import database_address
from thornback.store.references import Move, forget_files, move_storage
from thornback.store.snapshot import has_rows, put_snapshot


def restore_backup(settings: Settings, source: str, *, replace: bool = False) -> Manifest:
    """Make database and storage what they were. The platform must not run. Blocks.

    Everything is read and its checksums are compared before anything is written.

    Args:
        settings: where to; the storage may be another than it was, the kind of database may not.
        source: what `take_backup` was given.
        replace: also where rows or files are there already: rows go, files of the same names are overwritten.

    Raises:
        InvalidInput: there is no backup.
        ChecksumMismatch: it is damaged; nothing was written.
        Conflict: the target is not empty, or it is another kind of database; nothing was written.
        StoreUnavailable, OSError: database or storage do not answer.
    """
    backup, storage = locate(source), locate(settings.storage)
    manifest = read_manifest(backup)
    _refuse(settings, manifest, storage, replace=replace)
    verify(backup, manifest)
    with tempfile.TemporaryDirectory(prefix="thornback-restore-") as scratch:
        _put_files(backup, manifest, storage, Path(scratch) / "passing")
        folder = Path(scratch) / DATABASE
        folder.mkdir()
        for file in manifest.database:
            fetch(backup / DATABASE / file.path, file, folder / file.path)
        described = {"dialect": manifest.dialect, "revision": manifest.revision}
        put_snapshot(settings.database_url, folder, described, replace=replace)
    if absent := frozenset(manifest.absent):
        forget_files(settings.database_url, lambda uri: below(manifest.storage, uri) in absent)
    if manifest.storage != settings.storage:
        move_storage(settings.database_url, Move(manifest.storage, settings.storage))
    return manifest


def _refuse(settings: Settings, manifest: Manifest, storage: Location, *, replace: bool) -> None:
    dialect = database_address(settings.database_url).get_backend_name()
    if dialect != manifest.dialect:
        raise Conflict(f"the backup is one of {manifest.dialect}, and THORNBACK_DATABASE_URL names {dialect}")
    if replace:
        return
    if has_rows(settings.database_url):
        raise Conflict("the database has rows already; name an empty one, or say --replace")
    if any(not file.path.startswith(LEFT_OUT) for file in storage.files()):
        place = without_secrets(settings.storage)
        raise Conflict(f"{place} has files already; name an empty THORNBACK_STORAGE, or say --replace")


def _put_files(backup: Location, manifest: Manifest, storage: Location, passing: Path) -> None:
    for file in manifest.files:
        fetch(backup / FILES / file.path, file, passing)
        (storage / file.path).upload(passing)
