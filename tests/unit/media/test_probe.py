"""What a video is by its content, and everything under the name of one that is not taken."""

from __future__ import annotations

import os
import random
import socketserver
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.fixtures import odd_clips
from thornback.errors import DataError
from thornback.media.container import open_video
from thornback.media.probe import VideoInfo, VideoLimits, probe, probe_apart

Make = Callable[[Path], object]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds, 320 by 180, 24 pictures a second, with a key frame in each second."""
    return odd_clips.count_up(tmp_path_factory.mktemp("clip") / "clip.mp4", options={"g": "24"})


class Trap:
    """A server that nobody may ask."""

    def __init__(self) -> None:
        trap = self
        self.touched = 0

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                trap.touched += 1

        self.server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def trap() -> Iterator[Trap]:
    trap = Trap()
    thread = threading.Thread(target=trap.server.serve_forever, args=(0.01,))
    thread.start()
    yield trap
    trap.server.shutdown()
    thread.join()
    trap.server.server_close()


def test_what_it_tells_of_a_plain_clip(clip: Path) -> None:
    info = probe(clip)
    assert (info.container, info.codec, info.pixel_format) == ("mov,mp4,m4a,3gp,3g2,mj2", "h264", "yuv420p")
    assert (info.width, info.height, info.shown_size, info.rotation) == (320, 180, (320, 180), 0)
    assert (info.frames, info.key_frames, info.untimed) == (48, 2, 0)
    assert info.duration_s == pytest.approx(2.0)
    assert info.fps == pytest.approx(24.0)
    assert (info.steady, info.interlaced, info.bits, info.hdr) == (True, False, 8, None)
    assert (info.matrix, info.full_range) == (6, False)
    assert info.size_bytes == clip.stat().st_size


def test_a_process_of_its_own_says_the_same(clip: Path) -> None:
    assert probe_apart(clip) == probe(clip)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda p: odd_clips.rotated(p, 90), {"rotation": 90, "shown_size": (180, 320)}),
        (odd_clips.odd_size, {"width": 322, "height": 182, "shown_size": (429, 182)}),
        (odd_clips.hdr_bars, {"hdr": "pq", "bits": 10, "matrix": 9}),
        (lambda p: odd_clips.hdr_bars(p, "hlg"), {"hdr": "hlg"}),
        (lambda p: odd_clips.colour_bars(p, full=True), {"full_range": True, "matrix": 1}),
        (odd_clips.one_frame, {"frames": 1, "steady": True}),
        (odd_clips.tiny, {"width": 16, "frames": 10}),
        (lambda p: odd_clips.variable_rate(p, [0, 40, 80, 500, 540]), {"steady": False, "frames": 5}),
    ],
)
def test_what_it_tells_of_odd_ones(tmp_path: Path, make: Make, told: dict[str, object]) -> None:
    make(path := tmp_path / "odd.mp4")
    info = probe(path)
    assert {name: getattr(info, name) for name in told} == told


@pytest.mark.parametrize("name", ["clip.mkv", "clip.webm", "clip.avi", "clip.ts", "clip.mov", "clip.flv"])
def test_other_containers(tmp_path: Path, name: str) -> None:
    codec = {"clip.webm": "libvpx-vp9", "clip.avi": "mpeg4"}.get(name, "libx264")
    info = probe(odd_clips.count_up(tmp_path / name, codec=codec))
    assert info.frames == 48
    assert info.duration_s == pytest.approx(2.0, abs=0.1)


def test_a_late_start_is_no_length(tmp_path: Path) -> None:
    assert probe(odd_clips.starting_late(tmp_path / "late.ts")).duration_s == pytest.approx(2.0, abs=0.1)


def test_a_name_is_not_believed(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(clip.read_bytes())
    assert probe(tmp_path / "notes.txt").codec == "h264"


def test_a_length_in_the_header_is_not_believed(clip: Path, tmp_path: Path) -> None:
    content = bytearray(clip.read_bytes())
    at = content.index(b"mvhd") + 4 + 16  # version and flags, two dates, time scale: the length in its units
    content[at : at + 4] = (2_000_000_000).to_bytes(4, "big")
    (tmp_path / "lie.mp4").write_bytes(content)
    assert probe(tmp_path / "lie.mp4").duration_s == pytest.approx(2.0)


def _huge_jpeg(path: Path) -> None:
    """A Motion JPEG whose pictures say that they are 65,500 by 65,500: 6 GB each."""
    odd_clips.in_codec(path, "mjpeg", {"strict": "unofficial"})
    content = path.read_bytes()
    begin = content.index(b"\xff\xc0") + 5
    path.write_bytes(content.replace(content[begin : begin + 4], b"\xff\xdc\xff\xdc"))


def _fifo(path: Path) -> None:
    os.mkfifo(path)


REFUSED: dict[str, tuple[Make, str]] = {
    "text": (odd_clips.no_video_at_all, "no video that can be read"),
    "nothing": (lambda p: p.touch(), "no video that can be read"),
    "zeros": (lambda p: p.write_bytes(bytes(100_000)), "no video that can be read"),
    "noise": (lambda p: p.write_bytes(os.urandom(100_000)), "no video|no picture"),
    "a page": (lambda p: p.write_text("<!doctype html><title>Watch</title>" * 100), "no video that can be read"),
    "a picture": (lambda p: Image.new("RGB", (64, 64)).save(p, "PNG"), "no video that can be read"),
    "a moving picture": (
        lambda p: Image.new("P", (64, 64)).save(p, "GIF", save_all=True, append_images=[Image.new("P", (64, 64), 5)]),
        "no video that can be read",
    ),
    "an archive": (lambda p: zipfile.ZipFile(p, "w").close(), "no video that can be read"),
    "sound": (odd_clips.sound_only, "no pictures"),
    "a header": (odd_clips.header_only, "no picture"),
    "without its index": (lambda p: odd_clips.truncated(p, index_first=False), "no video that can be read"),
    "a bare stream": (lambda p: odd_clips.without_times(p.with_suffix(".h264")).rename(p), "no video that can be read"),
    "a folder": (lambda p: p.mkdir(), "no file"),
    "a pipe": (_fifo, "no file"),
    "a device": (lambda p: p.symlink_to("/dev/zero"), "no file"),
    "pictures of 6 GB": (_huge_jpeg, "no video|no picture|pixels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_video_is_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    make, why = REFUSED[name]
    make(path := tmp_path / ("video.avi" if "6 GB" in name else "video.mp4"))
    with pytest.raises(DataError, match=why):
        probe(path)


SCRIPTS = {
    "hls.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{file}\n#EXT-X-ENDLIST\n",
    "hls.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{url}/a.ts\n#EXT-X-ENDLIST\n",
    "subtitles.m3u8": '#EXTM3U\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="x",URI="{url}"\n#EXT-X-ENDLIST\n',
    "key.m3u8": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="file:///etc/passwd"\n#EXTINF:2,\n{file}\n#EXT-X-ENDLIST\n',
    "joined.m3u8": "#EXTM3U\n#EXTINF:2,\nconcat:{file}|/etc/passwd\n#EXT-X-ENDLIST\n",
    "list.mp4": "ffconcat version 1.0\nfile {file}\n",
    "list.ffconcat": "ffconcat version 1.0\nfile {url}/a.mp4\n",
    "dash.mpd": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
        '<Representation id="1" bandwidth="1"><BaseURL>{url}/a.mp4</BaseURL></Representation></AdaptationSet>'
        "</Period></MPD>"
    ),
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    "movie.smil": '<smil><body><video src="{url}/a.mp4"/></body></smil>',
    "redirect.asx": '<asx version="3.0"><entry><ref href="{url}/a.wmv"/></entry></asx>',
    "reference.ref": "[Reference]\nRef1={url}/a.asf\n",
    "real.ram": "{url}/a.rm\n",
    "script.avs": 'AviSource("{file}")\n',
    "synth.vpy": "import os\n",
    "graph.lavfi": "movie={file}\n",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_makes_us_open_another_file_or_address(tmp_path: Path, clip: Path, trap: Trap, name: str) -> None:
    path = tmp_path / name
    path.write_text(SCRIPTS[name].format(file=clip, url=trap.url))
    with pytest.raises(DataError):
        probe(path)
    assert trap.touched == 0


@pytest.mark.parametrize("name", ["concat:clip.mp4|clip.mp4", "file:clip.mp4", "pipe:0", "http:", "-"])
def test_a_name_is_no_protocol(tmp_path: Path, clip: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError):
        probe(Path(name))
    Path(name).write_bytes(clip.read_bytes())
    assert probe(Path(name)).frames == 48


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (VideoLimits(max_bytes=1000), "at most 1000 are taken .THORNBACK_VIDEO_MAX_BYTES"),
        (VideoLimits(max_seconds=1.5), "THORNBACK_VIDEO_MAX_SECONDS"),
        (VideoLimits(max_pixels=320 * 180 - 1), "pixels|read"),
    ],
)
def test_limits(clip: Path, limits: VideoLimits, why: str) -> None:
    with pytest.raises(DataError, match=why):
        probe(clip, limits)
    with pytest.raises(DataError, match=why):
        probe(clip).check(limits)


def test_ten_hours_are_refused_at_the_first_packet_behind_the_limit(tmp_path: Path) -> None:
    odd_clips.variable_rate(path := tmp_path / "long.mkv", [0, 1000, 36_000_000, 36_001_000])
    with pytest.raises(DataError, match="longer than 240 minutes"):
        probe(path)
    assert probe(path, VideoLimits(max_seconds=40_000)).duration_s == pytest.approx(36_001, abs=2)


def test_more_pictures_than_fit_into_the_time_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thornback.media.probe.EXTRA_PACKETS", 10)
    odd_clips.variable_rate(path := tmp_path / "dense.mkv", range(90))
    with pytest.raises(DataError, match="more than 58 pictures"):
        probe(path, VideoLimits(max_seconds=0.1))  # 480 a second, and 10


def test_the_decoder_refuses_pictures_that_grow_in_the_middle(clip: Path) -> None:
    import av

    with open_video(clip, max_pixels=320 * 180 - 1) as (container, stream), pytest.raises(av.FFmpegError):
        next(container.decode(stream))


def test_a_process_that_does_not_end_or_dies_is_a_broken_video(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -SEGV $$\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(DataError, match=r"ends the decoder \(status -11\)"):
        probe_apart(clip)
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(DataError, match=r"within 0\.1 s"):
        probe_apart(clip, within_s=0.1)


def test_a_process_of_its_own_refuses_as_well(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pictures"):
        probe_apart(odd_clips.sound_only(tmp_path / "sound.mp4"))
    with pytest.raises(FileNotFoundError):
        probe_apart(tmp_path / "gone.mp4")


def test_it_is_json_and_back(clip: Path) -> None:
    info = probe(clip)
    assert VideoInfo(**info.to_dict()) == info
    assert replace(info, rotation=270).shown_size == (180, 320)


def test_a_title_in_another_encoding_is_no_fault(tmp_path: Path) -> None:
    path = odd_clips.count_up(tmp_path / "clip.mkv", frames=3)
    content = path.read_bytes()
    assert b"Lavf" in content  # who wrote it, as text
    path.write_bytes(content.replace(b"Lavf", b"L\xe4vf"))
    assert probe(path).frames == 3


def _mutated(content: bytes, draw: random.Random) -> bytes:
    """A few bytes changed, cut out or repeated, mostly where the headers are."""
    made = bytearray(content)
    for _ in range(draw.choice((1, 3, 10, 50))):
        at = draw.randrange(len(made) if draw.random() < 0.5 else min(len(made), 1500))
        match draw.randrange(4):
            case 0:
                made[at] = draw.randrange(256)
            case 1:
                made[at : at + 4] = draw.choice((b"\xff" * 4, b"\x7f" + b"\xff" * 3, bytes(4), b"\x80" + bytes(3)))
            case 2:
                del made[at : min(at + draw.randrange(1, 100), len(made) - 100)]
            case _:
                made[at:at] = made[at : at + draw.randrange(1, 100)]
    return bytes(made)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.avi"])
def test_whatever_is_broken_in_a_file_is_one_error(tmp_path: Path, name: str) -> None:
    codec = "mpeg4" if name == "clip.avi" else "libx264"
    whole = odd_clips.count_up(tmp_path / name, frames=12, codec=codec).read_bytes()
    draw, refused = random.Random(7), 0
    for number in range(100):
        (path := tmp_path / f"{number}.mp4").write_bytes(_mutated(whole, draw))
        try:
            probe(path)
        except DataError:
            refused += 1
    assert 5 < refused < 95  # both ends are tried
