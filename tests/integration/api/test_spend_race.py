"""Submissions through API processes that each have a writer, against one quota of money."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.spend_race import race


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_200_at_once_never_exceed_a_quota_and_the_sums_agree(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    url = f"sqlite:///{tmp_path / 'thornback.db'}"
    if database == "postgresql":
        url = str(request.getfixturevalue("empty_postgres_url"))
    outcome = race(url, tmp_path, submissions=200, rounds=2, client_count=4, server_count=2)
    assert outcome.answers.keys() == {201, 402}
    assert outcome.most <= outcome.limit
    assert outcome.needless == 0
    assert outcome.costs == outcome.ledger == outcome.report > 0
