"""Our applications on Ray Serve: deployed from cluster/serve.yaml through Serve's REST API.

A config deploy updates only what changed and cuts no stream, and other people's applications on a
shared cluster are handed back as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import httpx2
import yaml
from ray.dashboard.modules.serve.sdk import ServeSubmissionClient

from thornback.errors import BackendError, Conflict
from thornback.log import get_logger
from thornback.settings import Settings

_log = get_logger("node")
_POLL_S = 0.2
_FAILED = ("DEPLOY_FAILED", "UNHEALTHY")


def serve_config(settings: Settings) -> dict[str, Any]:
    """The shipped config with the host, the port and the environment of these settings."""
    config: dict[str, Any] = yaml.safe_load((resources.files("serve_apps") / "serve.yaml").read_text())
    config["http_options"] = {**config.get("http_options", {}), "host": settings.host, "port": settings.port}
    for application in config["applications"]:
        runtime_env = application.setdefault("runtime_env", {})
        runtime_env["env_vars"] = {**runtime_env.get("env_vars", {}), **settings.environment()}
    return config


class ServeApps:
    """Deploy, await and remove our applications."""

    def __init__(self, dashboard_url: str, settings: Settings) -> None:
        self._client = ServeSubmissionClient(dashboard_url)
        self._settings = settings
        self._config = serve_config(settings)

    @property
    def names(self) -> list[str]:
        """Our applications."""
        return [application["name"] for application in self._config["applications"]]

    def deploy(self) -> None:
        """Bring the applications to what the config says.

        Raises:
            Conflict: Serve runs on this cluster already with another host or port, which it cannot change.
            BackendError: Serve refused the config.
        """
        details = self._details()
        others = self._others(details)
        if others:
            self._check_address(details)
        try:
            self._client.deploy_applications({**self._config, "applications": [*others, *self._config["applications"]]})
        except RuntimeError as error:
            raise BackendError(f"Ray Serve refused the applications: {error}") from error

    def await_ready(self, *, timeout_s: float, still_wanted: Callable[[], None] = lambda: None) -> None:
        """Wait until the API says that it is ready.

        Raises:
            BackendError: an application failed to start, or time ran out; the message says which and why.
        """
        deadline = time.monotonic() + timeout_s
        answer = "no answer"
        with httpx2.Client(base_url=_local_url(self._settings), timeout=5.0, trust_env=False) as http:
            while time.monotonic() < deadline:
                still_wanted()
                try:
                    response = http.get("/readyz")
                except httpx2.TransportError as error:
                    answer = str(error) or type(error).__name__
                else:
                    if response.is_success:
                        return
                    answer = f"{response.status_code} {response.text[:500]}"
                self._raise_if_failed()
                time.sleep(_POLL_S)
        raise BackendError(f"the API was not ready after {timeout_s:.0f} s; /readyz said: {answer}")

    def remove(self) -> None:
        """Take our applications away; Serve itself stays where others use it."""
        details = self._details()
        if others := self._others(details):
            self._client.deploy_applications({"applications": others})
        else:
            self._client.delete_applications()  # type: ignore[no-untyped-call]

    def _details(self) -> Mapping[str, Any]:
        try:
            details: Mapping[str, Any] = self._client.get_serve_details()
        except RuntimeError as error:
            raise BackendError(f"Ray Serve does not answer: {error}") from error
        return details

    def _others(self, details: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            application["deployed_app_config"]
            for name, application in details.get("applications", {}).items()
            if name not in self.names and application.get("deployed_app_config")
        ]

    def _check_address(self, details: Mapping[str, Any]) -> None:
        running = details.get("http_options") or {}
        wanted = self._config["http_options"]
        for name in ("host", "port"):
            if running.get(name) not in (None, wanted[name]):
                raise Conflict(
                    f"Ray Serve runs on this cluster already with {name} {running[name]}, and it cannot change it: "
                    f"use --{name} {running[name]}"
                )

    def _raise_if_failed(self) -> None:
        for name, application in self._details().get("applications", {}).items():
            if name in self.names and application.get("status") in _FAILED:
                message = str(application.get("message") or application["status"]).rstrip()
                _log.error("application did not start", application=name, message=message)
                # Serve's message is a traceback through its own code; its last line is the reason.
                raise BackendError(f"the application {name} did not start: {message.splitlines()[-1]}")


def _local_url(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    return f"http://{host}:{settings.port}"
