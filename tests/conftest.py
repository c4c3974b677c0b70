"""Loads the shared fixtures."""

from __future__ import annotations

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.ray",
    "tests.fixtures.api",
    "tests.fixtures.chat",
    "tests.fixtures.s3",
    "tests.fixtures.simulator",
    "tests.fixtures.web",
]
