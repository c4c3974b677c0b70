"""Colours of frames: matrix, range, and high dynamic range."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av import VideoFrame
from av.codec.context import Flags
from av.video.reformatter import Colorspace

from tests.fixtures import odd_clips
from tests.fixtures.footage import Image
from thornback.media.colour import matrix, picture
from thornback.media.decode import opened


def shown(path: Path) -> Image:
    with opened(path) as video:
        return picture(next(video.frames()))


def middles(image: Image, count: int) -> list[list[int]]:
    """Red, green and blue in the middle of each bar."""
    wide = image.shape[1] / count
    row = image[image.shape[0] // 2]
    return [row[int((n + 0.5) * wide)][::-1].astype(int).tolist() for n in range(count)]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", ["bt601", "bt709", "bt2020"])
def test_colours_are_those_that_were_coded(tmp_path: Path, name: str, full: bool) -> None:
    path = odd_clips.colour_bars(tmp_path / "clip.mp4", matrix=name, full=full)
    np.testing.assert_allclose(middles(shown(path), 8), odd_clips.PATCHES, atol=4)


def test_untagged_and_small_is_bt601(tmp_path: Path) -> None:
    path = odd_clips.colour_bars(tmp_path / "clip.mp4", matrix="bt601", tagged=False)
    np.testing.assert_allclose(middles(shown(path), 8), odd_clips.PATCHES, atol=4)


@pytest.mark.parametrize(
    ("said", "rows", "meant"),
    [(2, 720, Colorspace.ITU709), (2, 576, Colorspace.ITU601), (9, 576, Colorspace.BT2020), (1, 480, 1)],
)
def test_the_matrix_that_a_player_takes(said: int, rows: int, meant: int) -> None:
    assert matrix(said, rows) == int(meant)


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_high_dynamic_range_is_brought_down(tmp_path: Path, transfer: str) -> None:
    grays = middles(shown(odd_clips.hdr_bars(tmp_path / "clip.mp4", transfer)), len(odd_clips.NITS))
    level = dict(zip(odd_clips.NITS, (sum(gray) / 3 for gray in grays), strict=True))
    assert all(max(gray) - min(gray) <= 4 for gray in grays)
    assert list(level.values()) == sorted(level.values())
    # Below the knee of BT.2390 light is kept: 10 and 50 of 203 cd/m² in sRGB are 63 and 136 of 255.
    assert level[10.0] == pytest.approx(63, abs=4)
    assert level[50.0] == pytest.approx(136, abs=4)
    assert 215 <= level[203.0] <= 245
    assert level[1_000.0] >= 252


def interlaced(path: Path) -> None:
    """Frames whose even rows are light and whose odd rows are dark, coded as two fields."""
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        stream.codec_context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        rows = np.zeros((64, 64, 3), np.uint8)
        rows[::2], rows[1::2] = 220, 20
        for frame in [*(VideoFrame.from_ndarray(rows, "rgb24").reformat(format="yuv420p") for _ in range(10)), None]:
            container.mux(stream.encode(frame))


def test_one_field_of_an_interlaced_frame_is_kept(tmp_path: Path) -> None:
    interlaced(tmp_path / "fields.ts")
    with av.open(str(tmp_path / "fields.ts")) as container:
        frame = next(container.decode(video=0))
    assert frame.interlaced_frame
    assert frame.to_ndarray(format="gray")[:, 0].std() > 90  # a comb
    shown = picture(frame)
    assert shown.shape == (64, 64, 3)
    assert shown.std() < 3
    assert shown.mean() == pytest.approx(220, abs=5)


def test_rows_of_a_progressive_frame_all_stay() -> None:
    frame = av.VideoFrame(64, 64, "gray")
    rows = np.zeros((64, frame.planes[0].line_size), np.uint8)
    rows[::2] = 200
    frame.planes[0].update(rows.tobytes())
    assert not frame.interlaced_frame
    assert picture(frame)[:, 0, 0].std() > 50
