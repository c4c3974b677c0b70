"""Whatever the bytes are: a reader reads them or says no in its own words, and the sample itself is read."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.hostile.bytes_made import broken
from tests.contracts.hostile.readers import READERS, refused, sample

# Pillow warns of broken EXIF data in pictures that it reads all the same.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def fuzz(name: str, examples: int, *, same: bool) -> int:
    """Read so many broken files, the same ones each time or not; returns how many were refused."""
    count = 0

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=same, suppress_health_check=list(HealthCheck)
    )
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
    found = fuzz(name, 8, same=True)
    assert found or not READERS[name].raises


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many_broken_ones(name: str) -> None:
    found = fuzz(name, 500, same=False)
    assert found or not READERS[name].raises
