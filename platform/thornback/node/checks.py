"""What a check finds, and the checks of the machine itself. None of them changes anything."""

from __future__ import annotations

import resource
import shutil
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from thornback.node.ports import is_free
from thornback.node.ray_folder import ray_folder
from thornback.node.record import NodeFile
from thornback.settings import Settings

GIB = 1024**3
_MIN_DISK = 2 * GIB
_GOOD_DISK = 10 * GIB
_GOOD_MEMORY = 4 * GIB  # an idle Ray takes 0.8 GB, a training worker of two about 1.75 GB
_GOOD_SHM = GIB  # loader processes hand batches over in shared memory
_MIN_SHM = 128 * 1024**2
_GOOD_FILES = 8192  # a stream is one file, and Ray's processes hold hundreds
_RAY_DISK_SHARE = 0.95  # Ray refuses to spill objects on a disk fuller than this


class Level(IntEnum):
    """How bad it is."""

    OK = 0
    WARNING = 1  # works, but not well or not always
    ERROR = 2  # will not work

    @property
    def label(self) -> str:
        """For people."""
        return {Level.OK: "ok", Level.WARNING: "warn", Level.ERROR: "error"}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    level: Level
    found: str
    mend: str | None = None  # what to do about it; None where nothing is to be done

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"name": self.name, "level": self.level.label, "found": self.found, "mend": self.mend}


def ok(name: str, found: str) -> Check:
    """Nothing to do."""
    return Check(name=name, level=Level.OK, found=found)


def warning(name: str, found: str, mend: str) -> Check:
    """Works, but could be better."""
    return Check(name=name, level=Level.WARNING, found=found, mend=mend)


def error(name: str, found: str, mend: str) -> Check:
    """Will not work."""
    return Check(name=name, level=Level.ERROR, found=found, mend=mend)


def check_ports(settings: Settings) -> list[Check]:
    """The API's port and the dashboard's; those of our own running node are as they should be."""
    record = NodeFile(settings.home).read()
    if NodeFile(settings.home).is_locked() and record is not None:
        return [ok("port", f"the node of this home runs at {record.url}")]
    checks = []
    try:
        free = is_free(settings.host, settings.port)
    except OSError as problem:
        mend = "set THORNBACK_HOST to an address of this machine"
        return [error("port", f"{settings.host} cannot be listened on: {problem}", mend)]
    if free:
        checks.append(ok("port", f"{settings.host}:{settings.port} is free"))
    else:
        mend = f"use another (--port, THORNBACK_PORT), or end what uses it: ss -ltnp 'sport = :{settings.port}'"
        checks.append(error("port", f"{settings.host}:{settings.port} is in use", mend))
    if settings.dashboard_port and not is_free(settings.dashboard_host, settings.dashboard_port):
        found = f"{settings.dashboard_host}:{settings.dashboard_port} is in use; the next free port will be taken"
        checks.append(warning("dashboard port", found, "set THORNBACK_DASHBOARD_PORT where it must be a certain one"))
    return checks


def check_disk(settings: Settings) -> list[Check]:
    """Room for runs and for Ray's sessions, which are elsewhere where the home has a long path."""
    checks = []
    places = {"disk": settings.home}
    if not (sessions := ray_folder(settings.home)).is_relative_to(settings.home):
        places["disk (Ray)"] = sessions
    for name, place in places.items():
        usage = shutil.disk_usage(_existing(place))
        found = f"{usage.free / GIB:.1f} GiB free at {place}"
        if usage.free < _MIN_DISK:
            checks.append(error(name, found, "free some; a small run alone takes hundreds of MB"))
        elif 1 - usage.free / usage.total > _RAY_DISK_SHARE:
            mend = "free some: Ray refuses work on a disk that is more than 95 % full"
            checks.append(warning(name, found, mend))
        elif usage.free < _GOOD_DISK:
            checks.append(warning(name, found, "enough to try; checkpoints of a large model are gigabytes"))
        else:
            checks.append(ok(name, found))
    return checks


def check_memory() -> list[Check]:
    """Main memory and /dev/shm, which containers keep small."""
    import psutil

    free = psutil.virtual_memory().available
    found = f"{free / GIB:.1f} GiB of main memory are free"
    mend = "close other programs, or train a smaller model with a smaller batch"
    checks = [ok("memory", found) if free >= _GOOD_MEMORY else warning("memory", found, mend)]
    shm = Path("/dev/shm")  # noqa: S108 - looked at, not written
    if not shm.is_dir():
        return checks
    size = shutil.disk_usage(shm).total
    found = f"{shm} has {size / GIB:.2f} GiB"
    mend = "in Docker: --shm-size=2g; in Kubernetes: an emptyDir with medium Memory at /dev/shm; or num_workers: 0"
    if size < _MIN_SHM:
        checks.append(error("shared memory", found, mend))
    elif size < _GOOD_SHM:
        checks.append(warning("shared memory", found, mend))
    else:
        checks.append(ok("shared memory", found))
    return checks


def check_limits() -> list[Check]:
    """How many files a process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{soft} open files allowed (at most {hard})"
    if soft >= _GOOD_FILES:
        return [ok("file limit", found)]
    return [
        warning("file limit", found, f"ulimit -n {min(65_536, hard)} before `thornback up`; each live client takes one")
    ]


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
