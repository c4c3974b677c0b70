from __future__ import annotations

import csv
import json
from io import StringIO
from xml.etree import ElementTree

from train_jobs.convnext.report import report_files
from train_jobs.convnext.state import Best

BEST = Best(epoch=3, loss=0.5, accuracy=0.75, macro_f1=0.7, recall=[1.0, 0.5], confusion=[[2, 0], [1, 1]])


def test_files_for_programs_and_people() -> None:
    files = report_files(["a & b", "c"], BEST, None, {"best_epoch": 3})
    figures = json.loads(files["metrics.json"])
    assert figures["best"]["confusion"] == [[2, 0], [1, 1]]
    assert figures["classes"] == ["a & b", "c"]
    rows = list(csv.reader(StringIO(files["confusion_matrix.csv"].decode())))
    assert rows == [["true \\ predicted", "a & b", "c"], ["a & b", "2", "0"], ["c", "1", "1"]]
    texts = [element.text for element in ElementTree.fromstring(files["confusion_matrix.svg"]).iter() if element.text]
    assert texts.count("a & b") == 2
    assert texts.count("1") == 2  # zeros are left blank


def test_without_a_held_out_part_there_is_no_matrix() -> None:
    nothing = Best(epoch=1, loss=0.5, accuracy=0.5, macro_f1=0.0, recall=[], confusion=[])
    assert list(report_files(["a", "b"], nothing, None, {})) == ["metrics.json"]


def test_a_test_split_is_what_the_matrix_shows() -> None:
    test = Best(epoch=3, loss=0.5, accuracy=1.0, macro_f1=1.0, recall=[1.0, 1.0], confusion=[[5, 0], [0, 5]])
    assert b"5,0" in report_files(["a", "b"], BEST, test, {})["confusion_matrix.csv"]
