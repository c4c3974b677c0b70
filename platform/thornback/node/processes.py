"""Ending the processes of one node, told by the mark in their environment.

A mark survives what parent and child relations do not: orphaned workers, drivers in sessions of
their own. Processes without it are never touched, so another Ray on the same machine is safe.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import psutil

from thornback.node.environment import NODE_ID_VARIABLE


def marked(node_id: str) -> list[psutil.Process]:
    """All living processes of a node and their descendants, without the calling one and its ancestors."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with _gone():
            if process.environ().get(NODE_ID_VARIABLE) == node_id and process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = process
                # Some of Ray's helpers overwrite their environment with their title.
                found.update((child.pid, child) for child in process.children(recursive=True))
    return [process for pid, process in found.items() if pid not in mine]


def sweep(node_id: str, *, grace_s: float = 0.0) -> int:
    """End what is left of a node and wait until it is gone.

    Args:
        node_id: the mark.
        grace_s: seconds between SIGTERM and SIGKILL; 0 kills at once.

    Returns:
        How many processes there were.
    """
    seen: set[int] = set()
    # A process may have started another while we looked; those that remain have no parent to do so.
    while left := marked(node_id):
        seen.update(process.pid for process in left)
        if grace_s > 0:
            _signal(left, signal.SIGTERM)
            _, left = psutil.wait_procs(left, timeout=grace_s)
            grace_s = 0.0
        _signal(left, signal.SIGKILL)
        psutil.wait_procs(left, timeout=5.0)
        if all(_is_stuck(process) for process in left):
            break
    return len(seen)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with _gone():
            process.send_signal(number)


def _is_stuck(process: psutil.Process) -> bool:
    """True where even SIGKILL does not help: it waits in the kernel (a hung disk, a GPU driver)."""
    try:
        return bool(process.is_running() and process.status() == psutil.STATUS_DISK_SLEEP)
    except psutil.NoSuchProcess:
        return True


@contextlib.contextmanager
def _gone() -> Iterator[None]:
    """Processes end while one looks at them, and those of other users may not be looked at."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        yield
