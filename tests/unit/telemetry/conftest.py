"""What this process tells goes to a sink that the test looks into."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.telemetry.taken import Taken
from thornback.telemetry.metric import tell


@pytest.fixture
def taken() -> Iterator[Taken]:
    sink = Taken()
    before = tell(sink)
    yield sink
    tell(before)
