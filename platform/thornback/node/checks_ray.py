"""Who may use our Ray: without a token, whoever reaches its dashboard runs code here (CVE-2023-48022)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx2

from thornback.node.checks import Check, error, ok, warning
from thornback.node.record import NodeFile
from thornback.settings import Settings, is_loopback

DOOR = "/api/jobs/"  # where Ray takes jobs
ASK_S = 3.0


def check_ray(settings: Settings, env: Mapping[str, str]) -> list[Check]:
    """Token authentication, the address of the dashboard, and whether the door of a running one is shut."""
    checks = [_authentication(env), _dashboard(settings, env)]
    if settings.ray_address is None and env.get("RAY_ADDRESS"):
        found = f"RAY_ADDRESS is {env['RAY_ADDRESS']}; a node on this machine does not use it"
        checks.append(warning("ray address", found, "to use that cluster: THORNBACK_RAY_ADDRESS or --ray-address"))
    record = NodeFile(settings.home).read()
    if record is not None and record.dashboard_url is not None:
        checks += check_door(record.dashboard_url)
    return checks


def check_door(dashboard_url: str) -> list[Check]:
    """Ask a running Ray for its jobs without a token; nothing where none answers."""
    try:
        answer = httpx2.get(f"{dashboard_url.rstrip('/')}{DOOR}", timeout=ASK_S, trust_env=False)
    except httpx2.HTTPError:
        return []
    if answer.status_code in (401, 403):
        return [ok("ray jobs", f"{dashboard_url} takes none without the token")]
    if not answer.is_success:
        return [warning("ray jobs", f"{dashboard_url} answers {answer.status_code}", "see Ray's dashboard log")]
    found = f"{dashboard_url} takes jobs of whoever reaches it"
    mend = "set RAY_AUTH_MODE=token where Ray is started, on every node, and start it again"
    on_loopback = is_loopback(urlsplit(dashboard_url).hostname or "")
    return [(warning if on_loopback else error)("ray jobs", found, mend)]


def _has_token(env: Mapping[str, str]) -> bool:
    return env.get("RAY_AUTH_MODE", "token").lower() == "token"


def _authentication(env: Mapping[str, str]) -> Check:
    if _has_token(env):
        return ok("ray authentication", "token")
    found = f"RAY_AUTH_MODE is {env['RAY_AUTH_MODE']}: whoever reaches Ray's ports can run code here"
    return warning("ray authentication", found, "unset RAY_AUTH_MODE; Ray then makes a token in ~/.ray")


def _dashboard(settings: Settings, env: Mapping[str, str]) -> Check:
    host = settings.dashboard_host
    if is_loopback(host):
        return ok("ray dashboard", f"on {host} only")
    mend = "unset THORNBACK_DASHBOARD_HOST and use an SSH tunnel"
    if _has_token(env):
        return warning("ray dashboard", f"on {host}: others on the network reach it, and need the token", mend)
    return error("ray dashboard", f"on {host} without a token: others on the network can start jobs here", mend)
