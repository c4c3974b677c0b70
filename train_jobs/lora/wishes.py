"""What people ask of a running job, as orders of the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from thornback.jobs.wishes import Wish
from thornback.metrics.reporter import Reporter
from train_jobs.lora.loop import Order

_ORDERS: Mapping[str, Order] = {
    Wish.SAVE: Order.SAVE,
    Wish.SAMPLE: Order.SAMPLE,
    Wish.FINISH: Order.KEEP,
}


class ReporterWishes:
    """Gives each request once; those that were made before this run began were for another."""

    def __init__(self, reporter: Reporter, clock: Callable[[], datetime]) -> None:
        """To be made when the run begins: `clock` is read now, and tells aware times."""
        self._reporter = reporter
        self._began = clock()
        self._seen: dict[str, datetime] = {}

    def __call__(self) -> Order:
        """Everything that was asked since the last call."""
        order = Order.GO_ON
        for what, at in self._reporter.asked().items():
            # What was seen once and has changed is new whatever this machine's clock says.
            if at > self._seen.get(what, self._began):
                order |= _ORDERS.get(what, Order.GO_ON)
            self._seen[what] = at
        return order
