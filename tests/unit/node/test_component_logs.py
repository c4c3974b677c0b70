"""What can be said without a Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

from thornback.errors import InvalidInput, Unavailable
from thornback.node.component_logs import dashboard_of, find_places
from thornback.settings import Settings


def test_where_no_platform_runs(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no platform runs in"):
        dashboard_of(Settings(home=tmp_path))


def test_a_component_that_there_is_not() -> None:
    with pytest.raises(InvalidInput, match="'driver' is none of recorder, dispatcher, notify"):
        find_places("http://127.0.0.1:9", "driver", namespace="thornback")
