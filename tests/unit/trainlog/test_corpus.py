from __future__ import annotations

import pytest

from tests.unit.trainlog.corpus import Case, agrees, cases
from thornback.trainlog.parser import LogParser
from thornback.trainlog.sample import Phase

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_every_line_gives_exactly_its_samples(case: Case) -> None:
    parser = LogParser(steps=case.steps, job_name=case.job_name)
    for line in case.lines:
        samples = parser.feed(line.text + "\n")
        assert len(samples) == len(line.expected), (line.text, samples)
        for sample, expected in zip(samples, line.expected, strict=True):
            assert agrees(sample, expected), (line.text, sample, expected)


def test_the_corpus_is_read_and_covers_every_phase() -> None:
    expected = [sample for case in CASES for line in case.lines for sample in line.expected]
    assert {sample["phase"] for sample in expected} == {phase.value for phase in Phase}
    assert len(expected) > 250
