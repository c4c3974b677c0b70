"""The peer, PySceneDetect, with its defaults, and plain decoding: what video benchmarks measure beside ours.

PySceneDetect is no dependency of ours: `pip install scenedetect==0.7.2` into the environment that runs this.
It reduces frames by itself ("auto downscale", to about 256 columns) and drops scenes under 15 frames. OpenCV
and the decoders keep the numbers of threads that PySceneDetect gives them, except where a core is one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import scenedetect
from scenedetect import AdaptiveDetector, ContentDetector, HistogramDetector, SceneManager, open_video, save_images

DETECTORS: dict[str, Callable[[], Any]] = {
    "content": ContentDetector,
    "adaptive": AdaptiveDetector,
    "histogram": HistogramDetector,
}
VERSION = scenedetect.__version__


def peer_scenes(path: Path, detector: str, backend: str) -> list[int]:
    """First frames of the scenes, but for the first."""
    manager = SceneManager()
    manager.add_detector(DETECTORS[detector]())
    manager.detect_scenes(open_video(str(path), backend=backend))
    return [start.frame_num for start, _ in manager.get_scene_list(start_in_scene=True)[1:]]


def peer_frames(path: Path, detector: str, backend: str, into: Path) -> list[int]:
    """Detect and then `save_images`, one JPEG of quality 95 per scene; about which frames those are."""
    video = open_video(str(path), backend=backend)
    manager = SceneManager()
    manager.add_detector(DETECTORS[detector]())
    manager.detect_scenes(video)
    scenes = manager.get_scene_list(start_in_scene=True)
    images = save_images(scenes, video, num_images=1, output_dir=str(into))
    if sum(len(names) for names in images.values()) != len(scenes):
        raise RuntimeError("not one image for each scene")
    return [(start.frame_num + end.frame_num) // 2 for start, end in scenes]


def decode(path: Path, threads: int = 1) -> int:
    """Every frame, thrown away; how many. In one thread this is the floor for all who look at every frame."""
    count = 0
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_type = "NONE" if threads == 1 else "FRAME"
        stream.codec_context.thread_count = threads
        for _ in container.decode(stream):
            count += 1
    return count
