"""A small flood over real sockets: each order ends once, none is lost, nothing forged gets in.

`python -m tests.benchmarks.webhook_deliveries` is the large one, through Ray Serve, with a kill on the way.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.fixtures.api import api_on, serving
from tests.fixtures.flood import WHSEC, count_effects, give_orders, send_all, write_mail

GOOD, BAD = 200, 50


async def test_each_order_ends_once(tmp_path: Path, database_url: str) -> None:
    async with api_on(database_url, tmp_path, replicate_webhook_secrets=WHSEC) as platform:
        mail = write_mail(await give_orders(platform.recorder, GOOD + BAD), good=GOOD, bad=BAD)
        assert len(mail) == 2 * GOOD + BAD
        # two replicas, so that a repeat may meet another than the first
        async with serving(platform.app()) as one, serving(platform.app()) as other:
            tallies = await asyncio.gather(
                send_all(one, mail[: len(mail) // 2], at_once=25), send_all(other, mail[len(mail) // 2 :], at_once=25)
            )
        assert [(tally.lost, tally.bad_accepted, tally.retries) for tally in tallies] == [(0, 0, 0)] * 2
        effects = count_effects(platform.reader.engine)
    assert effects == {"ends": GOOD, "items": GOOD, "inbox": GOOD, "dead": 0}
