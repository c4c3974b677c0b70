"""Whatever the bytes are: a reader reads them or says no in its own words, and the sample itself is read."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.hostile.bytes_made import broken
from tests.contracts.hostile.readers import READERS, refused, sample


def fuzz(name: str, examples: int) -> int:
    """Read so many broken files; returns how many were refused."""
    count = 0

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data: st.DataObject) -> None:
        nonlocal count
        count += refused(name, data.draw(broken(sample(name))))

    run()
    return count


@pytest.mark.parametrize("name", READERS)
def test_a_good_sample_is_read(name: str) -> None:
    assert not refused(name, sample(name))


@pytest.mark.parametrize("name", READERS)
def test_broken_ones(name: str) -> None:
    found = fuzz(name, 25)
    assert found or not READERS[name].raises


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many_broken_ones(name: str) -> None:
    found = fuzz(name, 2000)
    assert found or not READERS[name].raises
