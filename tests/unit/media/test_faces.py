"""Faces by OpenCV's own detector, on a network of YuNet's shape that takes bright squares for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.fixtures.tiny_faces import build_yunet
from tests.unit.media.frames_made import Image, exposed, photograph, resized, save
from thornback.datasets.frame_set import DropReason
from thornback.errors import InvalidInput
from thornback.jobs.video_lora import QualityOptions
from thornback.media.faces import largest_face
from thornback.media.quality import judge

FACE = (32 * 32) / (640 * 416)  # pixels of a face among those that are searched in a frame of 960 x 640


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_yunet(tmp_path_factory.mktemp("model") / "yunet.onnx")


def frame(number: int = 0, *, faces: int = 0) -> Image:
    """A darkened photograph with white squares."""
    image = exposed(photograph(number), 0.7)
    for place in range(faces):
        image[100:140, 100 + 200 * place : 140 + 200 * place] = 255
    return image


@pytest.mark.parametrize("faces", [0, 1, 3])
def test_largest_face(tmp_path: Path, model: Path, faces: int) -> None:
    path = save(tmp_path, "a.png", frame(faces=faces))
    assert largest_face(path, model) == pytest.approx(FACE if faces else 0.0, rel=0.05)


def test_of_any_size(tmp_path: Path, model: Path) -> None:
    for size in ((1920, 1280), (300, 500), (97, 41)):
        path = save(tmp_path, "a.png", resized(np.full((64, 64, 3), 255, np.uint8), size))
        assert largest_face(path, model) > 0
    path.write_bytes(b"no picture")
    assert largest_face(path, model) == 0.0


def test_frames_without_a_face_are_dropped(tmp_path: Path, model: Path) -> None:
    paths = [save(tmp_path, f"{number}.png", frame(number, faces=number % 2)) for number in range(4)]
    verdicts = judge(paths, QualityOptions(faces=True), face_model=model)
    assert [verdict.reason for verdict in verdicts] == [DropReason.NO_FACE, None] * 2
    assert verdicts[1].scores["face"] > verdicts[0].scores["face"] == 0.0
    assert all(verdict.kept for verdict in judge(paths, face_model=model))


def test_another_network(tmp_path: Path, model: Path) -> None:
    import onnx

    other = onnx.load(str(model))
    del other.graph.output[3:]
    onnx.save(other, str(tmp_path / "other.onnx"))
    path = save(tmp_path, "a.png", frame())
    with pytest.raises(InvalidInput, match="no face detector"):
        largest_face(path, tmp_path / "other.onnx")
