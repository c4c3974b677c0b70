"""Where the Ray of one node keeps its sessions: a folder of its own.

In the folder that all Rays of a machine share, Ray writes down the cluster that was started last, and a
job's supervisor sends its driver to the cluster that stands there. With another Ray on the machine that
would not be ours.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from thornback.errors import BackendError

# A socket's path holds 107 bytes, and Ray adds up to 68:
# /session_2026-01-31_12-00-00_123456_1234567 (43) /sockets/ (9) dash_MetricsHead (16)
_LONGEST = 107 - 68
_SESSIONS_KEPT = 3  # for their logs; each has some MB


def ray_folder(home: Path) -> Path:
    """In the home, or where that has too long a path in the temporary folder."""
    inside = home / "ray" / "tmp"
    if len(os.fsencode(inside)) <= _LONGEST:
        return inside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"thornback-{os.getuid()}-{digest}" / "tmp"


def prepare_folder(home: Path) -> Path:
    """Make the folder and remove old sessions from it.

    Ray opens it to everybody, so the folder around it is for this user alone.

    Raises:
        BackendError: somebody else has made that.
    """
    folder = ray_folder(home)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.parent.is_symlink() or folder.parent.stat().st_uid != os.getuid():
        raise BackendError(f"{folder.parent} belongs to another user; set THORNBACK_HOME to one of yours")
    folder.parent.chmod(0o700)
    folder.mkdir(exist_ok=True)
    # Their names begin with their time.
    sessions = sorted(path for path in folder.glob("session_2*") if path.is_dir() and not path.is_symlink())
    for session in sessions[: -(_SESSIONS_KEPT - 1)]:
        shutil.rmtree(session, ignore_errors=True)
    return folder


def announce(folder: Path, address: str) -> None:
    """Write down the cluster that runs now where Ray's own commands and job supervisors look for it."""
    (folder / "ray_current_cluster").write_text(address)
