"""Take a backup of a platform that runs.

The database comes first and the files after it: a file is there before the row that speaks of it. What is deleted
in between, an old checkpoint for instance, would leave such a row alone. So the files are copied once before, which
takes long, and then again what has changed, which does not; where a row still lacks its file the database is taken
once more. What is missing after that, because it goes as fast as it is looked at, the manifest names, and `restore`
takes the mention of it out of its row.
"""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path

from thornback.artifacts.files import FileEntry, Location, locate, without_secrets
from thornback.backup.manifest import DATABASE, FILES, LEFT_OUT, MANIFEST, BackedFile, Manifest, below, keep
from thornback.errors import Conflict, NotFound
from thornback.log import get_logger
from thornback.settings import Settings
from thornback.store.snapshot import Snapshot, take_snapshot

_ROUNDS = 5

log = get_logger("backup")


def take_backup(settings: Settings, to: str, *, at: datetime) -> Manifest:
    """Copy database and storage to an empty folder or prefix. Blocks.

    Args:
        settings: of the platform.
        to: a local path or s3://…
        at: the present time, for the manifest.

    Raises:
        Conflict: something is there already, or the database is not of this release.
        InvalidInput: `to` is no address.
        StoreUnavailable, OSError: database or storage do not answer.
    """
    target, storage = locate(to), locate(settings.storage)
    if target.files():
        raise Conflict(f"{without_secrets(to)} is not empty; name a new folder for each backup")
    if target.is_local and (f"{Path(target.path).resolve()}/").startswith(f"{Path(storage.path).resolve()}/"):
        raise Conflict(f"{to} lies in the storage, which would be copied into itself; name a folder outside of it")
    with tempfile.TemporaryDirectory(prefix="thornback-backup-") as scratch:
        manifest = _Backup(settings, target, storage, Path(scratch)).run(at)
    (target / MANIFEST).write_bytes(manifest.model_dump_json(indent=1).encode())
    return manifest


class _Backup:
    """One that is being taken."""

    def __init__(self, settings: Settings, target: Location, storage: Location, scratch: Path) -> None:
        self._settings = settings
        self._target, self._storage = target, storage
        self._scratch = scratch
        self._kept: dict[str, tuple[FileEntry | None, BackedFile]] = {}

    def run(self, at: datetime) -> Manifest:
        """All rounds."""
        self._copy_files()
        missing: set[str] = set()
        for number in range(_ROUNDS):
            folder = self._scratch / str(number)
            folder.mkdir()
            snapshot = take_snapshot(self._settings.database_url, folder)
            wanted = {path for uri in snapshot.references if (path := below(self._settings.storage, uri)) is not None}
            self._copy_at_once(wanted)
            present = self._copy_files()
            before, missing = missing, self._missing(wanted)
            if not missing or missing == before:  # twice the same: nobody deletes it now, it was lost long ago
                break
            log.info("files went while they were copied; looking again", files=len(missing))
        self._drop(present, wanted)
        return self._manifest(snapshot, folder, missing, at)

    def _copy_files(self) -> set[str]:
        """What is new or has changed since the last time. Returns what is there."""
        entries = {entry.path: entry for entry in self._storage.files() if not entry.path.startswith(LEFT_OUT)}
        for path, entry in entries.items():
            known = self._kept.get(path)
            if known is None or known[0] != entry:
                self._copy(path, entry)
        return set(entries)

    def _copy_at_once(self, wanted: set[str]) -> None:
        """What rows speak of and is not here yet, before it goes: to list the whole storage takes longer."""
        for path in wanted - self._kept.keys():
            self._copy(path, None)

    def _drop(self, present: set[str], wanted: set[str]) -> None:
        """What went meanwhile and no row speaks of, the files of deleted jobs."""
        folders = tuple(f"{path}/" for path in wanted)
        for path in self._kept.keys() - present - wanted:
            if not path.startswith(folders):
                del self._kept[path]
                (self._target / FILES / path).delete_file()

    def _copy(self, path: str, entry: FileEntry | None) -> None:
        try:
            kept = keep(self._storage / path, path, self._scratch / "passing", self._target / FILES / path)
        except NotFound:
            return  # it went since it was listed, or is a folder; whether a row misses it is seen later
        self._kept[path] = (entry, kept)

    def _missing(self, wanted: set[str]) -> set[str]:
        folders = {path.rpartition("/")[0] for path in self._kept}
        above = {folder[:end] for folder in folders for end in _ends(folder)}
        return wanted - self._kept.keys() - above

    def _manifest(self, snapshot: Snapshot, folder: Path, missing: set[str], at: datetime) -> Manifest:
        database = []
        for path in sorted(folder.iterdir()):
            source, to = locate(str(path)), self._target / DATABASE / path.name
            database.append(keep(source, path.name, self._scratch / "passing", to))
        return Manifest(
            made_at=at,
            dialect=snapshot.dialect,
            revision=snapshot.revision,
            storage=self._settings.storage,
            rows=dict(snapshot.rows),
            database=tuple(database),
            files=tuple(file for _, file in sorted(self._kept.values(), key=lambda pair: pair[1].path)),
            absent=tuple(sorted(missing)),
        )


def _ends(folder: str) -> list[int]:
    """Where its parts end: of a/b/c after a, after b and after c."""
    return [index for index, letter in enumerate(folder) if letter == "/"] + [len(folder)]
