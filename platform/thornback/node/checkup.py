"""All checks in the order in which one mends things, and those of exposure, database and storage."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping

from thornback.errors import SettingsError, ThornbackError
from thornback.net.rules import AddressRules
from thornback.net.s3 import has_key
from thornback.node.checks import Check, check_disk, check_limits, check_memory, check_ports, error, ok, warning
from thornback.node.checks_ray import check_ray
from thornback.node.checks_software import check_code, check_gpu, check_versions
from thornback.settings import Settings


def run_checks(settings: Settings, *, environ: Mapping[str, str] | None = None) -> list[Check]:
    """Look at everything; a check that cannot be made is an error of its own."""
    env = os.environ if environ is None else environ
    checks: list[Check] = []
    groups: tuple[tuple[str, Callable[[], list[Check]]], ...] = (
        ("versions", check_versions),
        ("code", lambda: check_code(settings, env)),
        ("gpu", check_gpu),
        ("ports", lambda: check_ports(settings)),
        ("disk", lambda: check_disk(settings)),
        ("memory", check_memory),
        ("file limit", check_limits),
        ("ray", lambda: check_ray(settings, env)),
        ("exposure", lambda: check_exposure(settings)),
        ("fetches", lambda: check_fetches(settings)),
        ("keys", lambda: check_keys(settings)),
        ("database", lambda: check_database(settings)),
        ("storage", lambda: check_storage(settings)),
    )
    for name, look in groups:
        try:
            checks += look()
        except OSError as problem:
            checks.append(error(name, f"cannot be looked at: {problem}", "see the message"))
    return checks


def check_fetches(settings: Settings) -> list[Check]:
    """Where addresses of users and providers may lead."""
    try:
        allow = AddressRules.of(settings).allow
    except SettingsError as problem:
        return [error("fetches", problem.message, "correct THORNBACK_FETCH_ALLOW")]
    if any(entry.network is not None and entry.network.prefixlen == 0 for entry in allow):
        found = "THORNBACK_FETCH_ALLOW opens every address: users can have this machine ask your own network"
        return [warning("fetches", found, "name the hosts and networks that are needed")]
    return [ok("fetches", f"public addresses{f', and {settings.fetch_allow}' if allow else ' alone'}")]


def check_keys(settings: Settings) -> list[Check]:
    """Keys that stand in addresses: those are written down in the database and in logs of Ray."""
    named = {"THORNBACK_STORAGE": settings.storage, "THORNBACK_DATASET": settings.dataset}
    mend = "take it out of the address, and give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role"
    found = [name for name, uri in named.items() if has_key(uri)]
    return [warning("keys", f"a key stands in {name}: the database and Ray's logs hold it", mend) for name in found]


def check_exposure(settings: Settings) -> list[Check]:
    """Who reaches the API, and whether it asks who they are."""
    if settings.has_access_control:
        return [ok("exposure", f"the API listens on {settings.host} and asks everybody who they are")]
    if not settings.is_loopback:
        mend = "unset THORNBACK_HOST, or leave THORNBACK_ACCESS out"
        found = f"the API would listen on {settings.host}, and whoever reached it could start jobs; it refuses to start"
        return [error("exposure", found, mend)]
    if settings.public_url is not None:
        mend = "leave THORNBACK_ACCESS out, unless the proxy before it knows who may come in"
        return [warning("exposure", f"{settings.public_url} leads here, and nobody is asked who they are", mend)]
    return [ok("exposure", f"the API listens on {settings.host} only")]


def check_database(settings: Settings) -> list[Check]:
    """Can it be opened, and does it have the present schema?"""
    from sqlalchemy.engine import make_url

    from thornback.store import migrate

    shown = make_url(settings.database_url).render_as_string(hide_password=True)
    try:
        current, head = migrate.current_revision(settings.database_url), migrate.head_revision()
    except ThornbackError as problem:
        return [error("database", f"{shown}: {problem}", "check THORNBACK_DATABASE_URL and that the server runs")]
    if current is None:
        return [ok("database", f"{shown} is new; `thornback up` sets it up")]
    if current != head:
        return [warning("database", f"{shown} has schema {current}, this version {head}", "thornback db upgrade")]
    return [ok("database", f"{shown}, schema {head}")]


def check_storage(settings: Settings) -> list[Check]:
    """Can it be written? A small file goes there and away again."""
    from thornback.artifacts.files import locate

    name = f".thornback-doctor-{uuid.uuid4().hex}"
    try:
        folder = locate(settings.run_uri(name))
        (folder / "probe").write_bytes(b"thornback doctor")
        read = (folder / "probe").read_bytes()
        folder.delete_tree()
    except (ThornbackError, OSError) as problem:
        mend = "check THORNBACK_STORAGE and its permissions or credentials"
        return [error("storage", f"{settings.storage} cannot be written: {problem}", mend)]
    if read != b"thornback doctor":
        return [error("storage", f"{settings.storage} gives back other bytes than were written", "use another storage")]
    return [ok("storage", f"{settings.storage} can be written")]
