"""What our own processes have written, on whatever node: through Ray's dashboard, which reads the nodes' files.

The logs of jobs are in the database and come from the API; see `thornback logs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from ray._private.authentication.http_token_authentication import get_auth_headers_if_auth_enabled as token_headers

from thornback.errors import InvalidInput, NotFound, Unavailable
from thornback.node.record import NodeFile
from thornback.settings import Settings

# By the class of the actor, which says the same in every namespace.
COMPONENTS: Mapping[str, str] = {
    "recorder": "MetricsActor",
    "dispatcher": "DispatcherActor",
    "notify": "NotifyActor",
    "provider": "TrackerActor",
    "api": "ServeReplica:api:Api",
    "live": "ServeReplica:live:Live",
}

ASK_S = 30
_SERVE = "serve"  # the namespace of Ray Serve


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One process of a component."""

    actor_id: str
    name: str
    node_id: str
    pid: int


def dashboard_of(settings: Settings) -> str:
    """Where Ray's dashboard is. Raises Unavailable where the platform does not run here."""
    record = NodeFile(settings.home).read()
    if record is None or record.dashboard_url is None:
        raise Unavailable(
            f"no platform runs in {settings.home}; run this where `thornback up` was run, or set THORNBACK_HOME"
        )
    return record.dashboard_url


def find_places(dashboard: str, component: str, *, namespace: str, node: str | None = None) -> list[Place]:
    """The processes of a component that live.

    Args:
        dashboard: URL of Ray's.
        component: one of COMPONENTS.
        namespace: of our actors.
        node: its address, or how its id begins; None: all nodes.

    Raises:
        InvalidInput: no such component.
        NotFound: none of its processes lives, there.
        Unavailable: Ray does not answer.
    """
    from ray.util.state import list_actors, list_nodes
    from ray.util.state.exception import RayStateApiException

    kind = COMPONENTS.get(component)
    if kind is None:
        raise InvalidInput.field("component", f"{component!r} is none of {', '.join(COMPONENTS)}")
    try:
        actors: list[Any] = list_actors(
            address=dashboard,
            filters=[("class_name", "=", kind), ("state", "=", "ALIVE")],
            timeout=ASK_S,
            raise_on_missing_output=False,
        )
        nodes: list[Any] = list_nodes(address=dashboard, timeout=ASK_S) if node else []
    except (RayStateApiException, OSError) as error:
        raise Unavailable(f"Ray does not answer: {str(error).splitlines()[0]}") from error
    there = {found.node_id for found in nodes if found.node_ip == node or found.node_id.startswith(node or "")}
    ours = [
        one for one in actors if one.ray_namespace in (namespace, "serve") and (node is None or one.node_id in there)
    ]
    if not ours:
        raise NotFound(f"no process of {component} lives{f' on {node}' if node else ''}; see `thornback status`")
    return [Place(actor_id=one.actor_id, name=one.name, node_id=one.node_id, pid=one.pid) for one in ours]


def read_log(dashboard: str, place: Place, *, tail: int, follow: bool = False) -> Iterator[str]:
    """Lines of one process, the oldest first; with `follow` until it ends. Raises Unavailable."""
    # Ray's own `get_log` takes no URL, and from an address on loopback it makes one that is not.
    media = "stream" if follow else "file"
    # Our processes log to stderr.
    asked: dict[str, str | int] = {"actor_id": place.actor_id, "suffix": "err", "lines": tail, "timeout": ASK_S}
    with _answers(f"{dashboard}/api/v0/logs/{media}", asked, place, timeout=None if follow else ASK_S) as answer:
        rest = ""
        for piece in answer.iter_content(chunk_size=None):
            *lines, rest = (rest + piece.decode(errors="replace")).split("\n")
            yield from lines
        if rest:
            yield rest


@contextmanager
def _answers(
    url: str, asked: Mapping[str, str | int], place: Place, *, timeout: float | None
) -> Iterator[requests.Response]:
    try:
        with requests.get(url, params=asked, headers=token_headers({}), stream=True, timeout=timeout) as answer:
            if not answer.ok:
                raise Unavailable(f"Ray does not give the log of {place.name}: {answer.text[:200]}")
            yield answer
    except requests.RequestException as error:
        raise Unavailable(f"Ray does not give the log of {place.name}: {error}") from error
