from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from train_jobs.convnext.scores import Scores


@pytest.mark.parametrize("seed", range(5))
def test_scores_agree_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, 5, 200), rng.integers(0, 5, 200)
    confusion = np.zeros((5, 5), dtype=np.int64)
    np.add.at(confusion, (true, predicted), 1)
    scores = Scores(confusion, 0.0)
    assert scores.count == 200
    assert scores.accuracy == pytest.approx(accuracy_score(true, predicted))
    assert scores.macro_f1 == pytest.approx(f1_score(true, predicted, average="macro"))
    assert scores.recall == pytest.approx(list(recall_score(true, predicted, average=None)))


def test_a_class_without_clips_has_no_recall_and_does_not_count() -> None:
    scores = Scores(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 2]]), 0.0)
    assert scores.recall == [0.75, None, 1.0]
    # f1 of class 0: 2*3 / (4 + 3) ; of class 2: 2*2 / (2 + 2)
    assert scores.macro_f1 == pytest.approx((6 / 7 + 1.0) / 2)


def test_nothing_judged() -> None:
    scores = Scores(np.zeros((2, 2), dtype=np.int64), 0.0)
    assert (scores.accuracy, scores.macro_f1, scores.recall) == (0.0, 0.0, [None, None])
