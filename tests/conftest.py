"""Loads the shared fixtures, and says which tests keep together where several processes run them."""

from __future__ import annotations

import pytest

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.ray",
    "tests.fixtures.api",
    "tests.fixtures.chat",
    "tests.fixtures.s3",
    "tests.fixtures.simulator",
    "tests.fixtures.web",
]

# Their tests start a node of their own, or ask for Ray only while they run.
OF_RAY = (
    "tests/integration/node/",
    "tests/integration/backup/",
    "tests/contracts/backends/",
    "tests/contracts/metrics/",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that needs Ray goes to one process, which so starts one; of the others each file stays whole.

    That process mostly waits for Ray, the others mostly compute. It means nothing without `pytest -n`.
    """
    for item in items:
        file = item.nodeid.partition("::")[0]
        needs_ray = "ray_node" in getattr(item, "fixturenames", ()) or file.startswith(OF_RAY)
        item.add_marker(pytest.mark.xdist_group("ray" if needs_ray else file))
