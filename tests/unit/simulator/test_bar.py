"""The bar against tqdm's own drawing."""

from __future__ import annotations

import pytest
from tqdm import tqdm  # type: ignore[import-untyped]

from thornback.simulator.bar import draw


@pytest.mark.parametrize("total", [4, 40, 1000, 6000])
@pytest.mark.parametrize("step_s", [0.01, 0.74, 1.05, 13.06])
def test_it_is_drawn_as_tqdm_draws_it(total: int, step_s: float) -> None:
    for step in sorted({0, 1, total // 3, total // 2, total - 1, total}):
        elapsed = step * step_s
        drawn = draw("flux_train_replicate", step, total, elapsed, tail="lr: 4.0e-04 loss: 2.472e-01")
        theirs = tqdm.format_meter(
            step, total, elapsed, prefix="flux_train_replicate: ", postfix="lr: 4.0e-04 loss: 2.472e-01",
            bar_format="{l_bar}{bar:10}{r_bar}",
        )  # fmt: skip
        assert drawn == theirs
