"""The budget of a sweep in the ledger: what is set aside for it moves to its trials, and what they leave comes back.

The rows of a sweep and of its trials add up to its budget until it ends. A trial that costs more than was set aside
for it takes the rest out of what the sweep has left. A sweep without a budget of its own has no rows, and each of
its trials is admitted as a job by itself.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from thornback.errors import BudgetSpent
from thornback.jobs.state import JobState
from thornback.spend.money import micro, usd
from thornback.spend.prices import Amount
from thornback.store.ledger import balance, book
from thornback.store.trials import sweep_of


def limit_of(sweep: JobState) -> int | None:
    """What a sweep may cost, in millionths of a dollar; None: whatever the quotas leave."""
    config = sweep.spec.get("config") or {}
    budget = config.get("budget") or {}
    limit = budget.get("usd")
    return None if limit is None else micro(limit)


def draw(connection: sa.Connection, sweep: JobState, trial: JobState, wanted: Amount, *, at: datetime) -> datetime:
    """Move what a trial is set down with out of its sweep's budget. Returns when the trial's rows are booked.

    Raises:
        BudgetSpent: the sweep has less left; the transaction must not go on.
    """
    limit = limit_of(sweep)
    if limit is None:
        return at
    held = balance(connection, sweep.id)
    if wanted.micro_usd > held.micro_usd:
        raise BudgetSpent(
            f"the budget of sweep {sweep.id} is {usd(limit):.2f} USD and leaves {usd(held.micro_usd):.2f}, and another "
            f"trial is set down with {usd(wanted.micro_usd):.2f} ({wanted.basis}): give the sweep a larger budget",
            budget=usd(limit),
            left=usd(held.micro_usd),
            wanted=usd(wanted.micro_usd),
        )
    booked_at = held.booked_at or sweep.created_at or at
    moved = Amount(micro_usd=-wanted.micro_usd, basis=f"passed on to its trial {trial.id}")
    book(connection, sweep, "reserved", moved, at=at, booked_at=booked_at)
    return booked_at


def left_for(connection: sa.Connection, trial: JobState) -> int | None:
    """What the budget of its sweep has left for a trial that needs more, in millionths; None where there is none."""
    sweep = sweep_of(connection, trial)
    if sweep is None or limit_of(sweep) is None:
        return None
    return 0 if sweep.final is not None else max(0, balance(connection, sweep.id).micro_usd)


def spent(left: int) -> str:
    """Why a trial that needs more than its budget leaves is ended, for people."""
    return f"stopped: it takes longer than was set aside for it, and the budget of its sweep leaves {usd(left):.2f} USD"


def give_back(connection: sa.Connection, trial: JobState, left: int, *, at: datetime) -> None:
    """Return to the budget of its sweep what a trial did not cost; less than nothing is taken out, as far as it goes.

    `left`: in millionths of a dollar. Nothing is done where the sweep has ended or has no budget.
    """
    sweep = sweep_of(connection, trial)
    if not left or sweep is None or sweep.final is not None or limit_of(sweep) is None:
        return
    held = balance(connection, sweep.id)
    amount = max(left, -held.micro_usd)
    why = "left over by" if amount > 0 else "more than was set aside for"
    moved = Amount(micro_usd=amount, basis=f"{why} its trial {trial.id}")
    book(connection, sweep, "reserved", moved, at=at, booked_at=held.booked_at or sweep.created_at or at)
