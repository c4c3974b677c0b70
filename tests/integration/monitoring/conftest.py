"""The platform as people start it."""

from tests.integration.node.conftest import cli

__all__ = ["cli"]
