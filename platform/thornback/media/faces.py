"""Faces, found by OpenCV's own detector where the file of its model is given; none is shipped or fetched.

The model is YuNet as ONNX (`face_detection_yunet_2023mar.onnx` of OpenCV's model zoo).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2

from thornback.errors import InvalidInput

_SIDE = 640  # pixels, the longer side of what is searched; faces below about 10 of them are not found
_CONFIDENCE = 0.7
_STRIDE = 32  # of the model: sides are multiples of it


def largest_face(path: Path, model: Path) -> float:
    """Share of the picture's area that its largest face takes, 0 to 1; 0 for none, or a file that is no picture.

    Raises:
        InvalidInput: the model is not there, or is not one that OpenCV's detector can use.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_BGR)
    if image is None:
        return 0.0
    scale = min(1.0, _SIDE / max(image.shape[:2]))
    width, height = (max(_STRIDE, round(side * scale / _STRIDE) * _STRIDE) for side in (image.shape[1], image.shape[0]))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    detector = open_detector(model)
    try:
        detector.setInputSize((width, height))
        _, found = detector.detect(small)
    except cv2.error as error:
        raise _unusable(model, error) from error
    if found is None:
        return 0.0
    share = max(float(face[2]) * float(face[3]) for face in found) / (width * height)
    return float(min(1.0, share))


@lru_cache(maxsize=1)
def open_detector(model: Path) -> Any:
    """The detector, read once in each process.

    Raises:
        InvalidInput: the file is not there or is no network.
    """
    if not model.is_file():
        raise InvalidInput.field("face_model", f"there is no file {model}; it takes YuNet as ONNX")
    try:
        return cv2.FaceDetectorYN.create(str(model), "", (_SIDE, _SIDE), score_threshold=_CONFIDENCE)
    except cv2.error as error:
        raise _unusable(model, error) from error


def _unusable(model: Path, error: Exception) -> InvalidInput:
    return InvalidInput.field("face_model", f"{model} is no face detector that OpenCV can use: {error}")
