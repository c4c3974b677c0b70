"""The environment of a node's processes: our settings and the switches that Ray reads from there.

Ray reads its switches once, when a process starts, and its workers inherit them. So they are set on
the process that starts Ray, before it imports Ray.
"""

from __future__ import annotations

from collections.abc import Mapping

from thornback.settings import Settings

# Marks every process of one node, down to the workers and drivers of its jobs, also after they were
# orphaned. Whatever carries it is ours to end; nothing else ever is.
NODE_ID_VARIABLE = "THORNBACK_NODE_ID"

# What a user may override by setting the same variable.
_DEFAULTS: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # `ray.train.report` waits for the controller's next look; Ray's own 2 s would stall every epoch by as much.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    # A stopped driver may write its last checkpoint; Ray's own 3 s are too short for a large one.
    "RAY_JOB_STOP_WAIT_TIME_S": "15",
    # Serve's access log of every request belongs in Ray's session folder, not on our terminal.
    "RAY_SERVE_LOG_TO_STDERR": "0",
    # Serve starts a proxy that died anew after the third look that missed it: 27 s with Ray's own 10 s between looks.
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "2",
    # On a busy machine a proxy needs longer than Ray's own 5 s to start, and is killed for it three times over.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30",
    # Started by `uv run`, Ray would upload the folder that it was started in for every job.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Ray's coming default: leave CUDA_VISIBLE_DEVICES alone for tasks without GPUs.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}

# What a node on one machine adds.
_LOCAL_DEFAULTS: Mapping[str, str] = {
    "RAY_AUTH_MODE": "token",
    # On a machine that is not part of a cluster Ray takes the loopback address for all of its ports
    # where this is 0. Otherwise GCS, raylet and workers listen on every interface.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}

# Variables of a surrounding Ray job or cluster that would make `ray.init` connect there.
_FOREIGN = ("RAY_ADDRESS", "RAY_JOB_ID", "RAY_RUNTIME_ENV_HOOK", "RAY_JOB_CONFIG_JSON_ENV_VAR")


def node_environment(settings: Settings, *, node_id: str, base: Mapping[str, str]) -> dict[str, str]:
    """All variables of the node process.

    Args:
        settings: handed on, so that the node and its workers see the same ones.
        node_id: the mark, see NODE_ID_VARIABLE.
        base: the environment of the caller.
    """
    env = {name: value for name, value in base.items() if settings.ray_address or name not in _FOREIGN}
    defaults = dict(_DEFAULTS) if settings.ray_address else {**_DEFAULTS, **_LOCAL_DEFAULTS}
    for name, value in defaults.items():
        env.setdefault(name, value)
    return {**env, **settings.environment(), NODE_ID_VARIABLE: node_id}
