"""What a node's processes find in their environment."""

from __future__ import annotations

from pathlib import Path

from thornback.node.environment import NODE_ID_VARIABLE, node_environment
from thornback.settings import Settings


def environment(tmp_path: Path, base: dict[str, str], *, ray_address: str | None = None) -> dict[str, str]:
    return node_environment(Settings(home=tmp_path, ray_address=ray_address), node_id="mark", base=base)


def test_settings_and_mark_win_over_what_was_there(tmp_path: Path) -> None:
    env = environment(tmp_path, {"THORNBACK_HOME": "/elsewhere", NODE_ID_VARIABLE: "outer", "PATH": "/bin"})
    assert env["THORNBACK_HOME"] == str(tmp_path)
    assert env[NODE_ID_VARIABLE] == "mark"
    assert env["PATH"] == "/bin"


def test_rays_switches_are_defaults_that_a_user_can_override(tmp_path: Path) -> None:
    assert environment(tmp_path, {})["RAY_USAGE_STATS_ENABLED"] == "0"
    assert environment(tmp_path, {})["RAY_AUTH_MODE"] == "token"
    assert environment(tmp_path, {})["RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S"] == "2"
    env = environment(tmp_path, {"RAY_AUTH_MODE": "disabled", "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "2"})
    assert (env["RAY_AUTH_MODE"], env["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"]) == ("disabled", "2")


def test_a_local_node_stays_on_loopback_and_away_from_other_clusters(tmp_path: Path) -> None:
    env = environment(tmp_path, {"RAY_ADDRESS": "10.0.0.1:6379"})
    assert "RAY_ADDRESS" not in env
    assert env["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"


def test_a_cluster_keeps_its_own_addresses(tmp_path: Path) -> None:
    env = environment(tmp_path, {"RAY_ADDRESS": "10.0.0.1:6379"}, ray_address="auto")
    assert env["RAY_ADDRESS"] == "10.0.0.1:6379"
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in env
    assert "RAY_AUTH_MODE" not in env
