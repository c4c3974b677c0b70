"""Everything the two simulated providers know, and the changes that an order can undergo."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from thornback.simulator.clock import Clock
from thornback.simulator.faults import Faults
from thornback.simulator.files import FileStore
from thornback.simulator.logs import Pace
from thornback.simulator.models import REPLICATE, Hosted, ImageModel
from thornback.simulator.orders import LogLine, Order, OrderBook, Status
from thornback.simulator.scenario import Scenario
from thornback.simulator.scheduler import Scheduler
from thornback.simulator.webhooks import THROTTLE, Webhooks

VANISH_AFTER_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """A call that came, also one that was then dropped."""

    operation: str
    method: str
    path: str
    query: str
    at: datetime
    fault: str | None


class Simulator:
    """The state of one simulated Replicate and one simulated fal."""

    def __init__(self, scenario: Scenario | None = None) -> None:
        self.scenario = scenario or Scenario()
        self.clock = Clock(self.scenario.speed)
        self.scheduler = Scheduler(self.clock)
        self.faults = Faults()
        self.orders = OrderBook()
        self.files = FileStore(self.clock)
        self.webhooks = Webhooks(self.scenario, self.scheduler, self.faults)
        self.requests: list[SeenRequest] = []
        self.models: dict[str, Hosted] = dict(REPLICATE)
        self.models |= {name: Hosted(model=ImageModel()) for name in self.scenario.models}
        self.url = ""  # where it can be reached; the first request tells, unless the server has
        self.on_order: Callable[[Order], None] = lambda _: None
        self.body_of: Callable[[Order], bytes] = lambda _: b""  # set by the app, which knows both wire forms

    def random_of(self, order: Order) -> random.Random:
        """The same numbers for the same order."""
        return random.Random(order.id)  # noqa: S311 - made-up losses

    def elapsed_s(self, since: datetime) -> float:
        """Seconds on the simulator's clock."""
        return (self.clock.now() - since).total_seconds()

    def has_vanished(self, order: Order) -> bool:
        """Whether nobody knows it any more."""
        limit = timedelta(seconds=self.clock.scaled(VANISH_AFTER_S))
        return "vanish" in order.mishaps and self.clock.now() - order.created_at >= limit

    def notify(self, order: Order, event: str) -> None:
        """Send a webhook if the order wants this event; those for logs at most twice a second."""
        if order.webhook is None or event not in order.events:
            return
        if event == "logs":
            now = self.clock.now()
            if order.logs_sent_at is not None and now - order.logs_sent_at < THROTTLE:
                return
            order.logs_sent_at = now
        self.webhooks.send(order, event, self.body_of(order))

    def begin(self, order: Order) -> None:
        """A machine has taken it."""
        order.status = Status.PROCESSING
        order.started_at = self.clock.now()
        order.touch()
        self.on_order(order)

    def say(self, order: Order, *lines: str) -> None:
        """It printed something."""
        now = self.clock.now()
        order.lines.extend(LogLine(now, line) for line in lines)
        order.touch()
        self.notify(order, "logs")

    def end(self, order: Order, status: Status, *, error: str | None = None, output: Any = None) -> None:
        """It has ended."""
        order.status, order.error, order.output = status, error, output
        order.completed_at = self.clock.now()
        if "data_removed" in order.mishaps and status is Status.SUCCEEDED:
            self.remove_data(order)
        order.touch()
        self.on_order(order)
        self.notify(order, "completed")

    def remove_data(self, order: Order) -> None:
        """What Replicate does with predictions of the API after an hour."""
        order.removed, order.output, order.inputs = True, None, {}
        order.lines.clear()

    def ttl_of(self, order: Order) -> float:
        """How long this order's output files stay, in provider seconds."""
        if "expired_output" in order.mishaps:
            return 0.0
        return self.scenario.output_ttl_s if order.ttl_s is None else order.ttl_s

    def pace(self, steps: int, step_s: float) -> Pace:
        """How a trainer that needs `step_s` for a step goes through its steps."""
        step_s = self.scenario.step_s or step_s
        shown_s = self.clock.scaled(step_s)
        return Pace(steps=steps, step_s=step_s, shown_s=shown_s, every_s=self.scenario.bar_every_s)
