"""It starts, and says who it is."""

from __future__ import annotations

import replicate

from thornback.simulator.server import SimulatorServer


def test_answers_the_official_client(simulator: SimulatorServer) -> None:
    client = replicate.Client(api_token=simulator.replicate_token, base_url=simulator.url)
    assert client.accounts.current().username == "simulator"
    assert [seen.operation for seen in simulator.requests] == ["replicate.account.get"]
