"""A sweep for people: a head, and a table of its trials. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from thornback.cli.format import STYLE, duration, number, short_id
from thornback.client.sweeps import Sweep, SweepTrial

_STATE_STYLE = {
    "waiting": "dim",
    "running": "cyan",
    "completed": "green",
    "stopped": "magenta",
    "failed": "bold red",
}
_WHY = 60  # characters of a reason


def sweep_view(sweep: Sweep, trials: Sequence[SweepTrial] | None = None) -> RenderableType:
    """The whole of it; `trials`: others than those that came with it."""
    return Group(headline(sweep), trial_table(sweep, sweep.trials if trials is None else trials))


def headline(sweep: Sweep) -> Text:
    """Status, trials by state, money and the best value, on one line."""
    counts = ", ".join(f"{count} {state}" for state, count in sweep.counts.items() if count)
    budget = sweep.budget
    parts = [f"{sweep.total} of {budget.trials} trials" + (f" ({counts})" if counts else "")]
    spent = budget.charged_usd + budget.reserved_usd
    if budget.usd is not None:
        parts.append(f"{spent:.2f} of {budget.usd:.2f} USD")
    elif spent:
        parts.append(f"{spent:.2f} USD")
    if sweep.best is not None:
        parts.append(f"best {sweep.metric} {number(sweep.best.value)} in trial {sweep.best.number}")
    line = Text(f"{sweep.job_name}  ")
    line.append(sweep.status.value, style=STYLE[sweep.status])
    line.append(f"  {', '.join(parts)}")
    for words in (sweep.stage if not sweep.status.is_final else None, sweep.error_message, sweep.ended_by):
        if words:
            line.append(f"\n{words}")
    return line


def trial_table(sweep: Sweep, trials: Iterable[SweepTrial]) -> Table:
    """One line a trial; the fields that are searched have columns by the last word of their names."""
    rows = list(trials)
    names = sorted({name for row in rows for name in row.parameters})
    table = Table(box=None, pad_edge=False)
    for heading in ("trial", "job", "state", sweep.metric, sweep.unit, "time", "USD"):
        table.add_column(heading, no_wrap=True, justify="left" if heading in ("job", "state") else "right")
    for name in names:
        table.add_column(_short(name, names), no_wrap=True)
    table.add_column("why")
    for row in rows:
        table.add_row(
            f"{'* ' if row.is_best else ''}{row.number}",
            short_id(row.job_id),
            Text(row.state, style=_STATE_STYLE.get(row.state, "")),
            number(row.value),
            "" if row.reached is None else str(row.reached),
            "" if row.seconds is None else duration(row.seconds),
            "" if row.cost_usd is None else f"{row.cost_usd:.2f}",
            *(Text(value(row.parameters.get(name))) for name in names),
            Text((row.why or "")[:_WHY]),
        )
    return table


def trial_line(sweep: Sweep, row: SweepTrial) -> str:
    """A trial where there is no table."""
    words = ", ".join(f"{name.rpartition('.')[2]} {value(chosen)}" for name, chosen in sorted(row.parameters.items()))
    found = "" if row.value is None else f", {sweep.metric} {number(row.value)}"
    why = f": {row.why}" if row.why and row.state in ("stopped", "failed") else ""
    return f"trial {row.number} {row.state}{found} ({words}){why}"


def value(chosen: object) -> str:
    """A chosen value for people."""
    if isinstance(chosen, float):
        return number(chosen)
    return "" if chosen is None else str(chosen)


def _short(name: str, names: Sequence[str]) -> str:
    last = name.rpartition(".")[2]
    return last if sum(other.rpartition(".")[2] == last for other in names) == 1 else name
