from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.fixtures.s3 import S3Server
from tests.unit.datasets.audio_files import write_tone
from thornback.artifacts.files import join, locate
from thornback.artifacts.node_cache import NodeCache
from thornback.datasets import open_dataset
from thornback.datasets.clips import Clip
from thornback.datasets.index import read_index, write_index
from thornback.datasets.source import BrokenClip, ClipSource, resample
from thornback.jobs.convnext import TrainingConfig


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_every_format_is_decoded_to_mono(tmp_path: Path, suffix: str) -> None:
    write_tone(tmp_path / f"a.{suffix}", seconds=0.5, rate=16000, channels=2)
    source = pickle.loads(pickle.dumps(ClipSource(str(tmp_path))))
    wave = source.read(Clip(path=f"a.{suffix}", label="x"), 16000)
    assert source.header(f"a.{suffix}").sample_rate == 16000
    assert wave.dtype == np.float32
    assert wave.ndim == 1
    # mp3 pads to whole frames of 1152 samples
    assert 8000 <= len(wave) <= (8000 if suffix != "mp3" else 8000 + 3 * 1152)
    middle = wave[2000:6000]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_a_part_of_a_file_is_read(tmp_path: Path) -> None:
    ramp = np.arange(8000, dtype=np.float32) / 8000
    soundfile.write(tmp_path / "a.wav", ramp, 8000, subtype="FLOAT")
    source = ClipSource(str(tmp_path))
    wave = source.read(Clip(path="a.wav", label="x", start=0.25, duration=0.5), 8000)
    np.testing.assert_array_equal(wave, ramp[2000:6000])
    rest = source.read(Clip(path="a.wav", label="x", start=0.75, duration=9.0), 8000)
    np.testing.assert_array_equal(rest, ramp[6000:])


@pytest.mark.parametrize(("rate", "target"), [(16000, 8000), (8000, 32000), (44100, 32000), (22050, 16000)])
def test_resampling_keeps_the_tone(rate: int, target: int) -> None:
    time = np.arange(rate) / rate
    wave = resample(np.sin(2 * np.pi * 1000 * time).astype(np.float32), rate, target)
    assert len(wave) == target  # one second
    expected = np.sin(2 * np.pi * 1000 * np.arange(target) / target)
    inner = slice(target // 10, -target // 10)  # the filter's edges aside
    assert np.abs(wave[inner] - expected[inner]).max() < 0.01


def test_what_cannot_be_used_says_why(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("this is no sound")
    (tmp_path / "null.wav").write_bytes(b"")
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan], dtype=np.float32), 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "silent.wav", np.zeros(0, dtype=np.float32), 8000)
    source = ClipSource(str(tmp_path))
    reasons = {}
    for name in ("text.wav", "null.wav", "nan.wav", "silent.wav", "gone.wav"):
        with pytest.raises(BrokenClip) as caught:
            source.read(Clip(path=name, label="x"), 8000)
        reasons[name] = str(caught.value)
    assert reasons["nan.wav"] == "it holds samples that are not finite"
    assert reasons["silent.wav"] == "it holds no samples"
    assert reasons["gone.wav"] == "there is no such file"
    assert "ormat" in reasons["text.wav"]


def test_clips_come_from_s3(tmp_path: Path, s3: S3Server) -> None:
    root = s3.uri(s3.make_bucket(), "data")
    local = write_tone(tmp_path / "a.flac", seconds=0.2)
    locate(join(root, "x", "a.flac")).upload(local)
    source = ClipSource(root)
    assert source.header("x/a.flac").frames == 1600
    wave = source.read(Clip(path="x/a.flac", label="x"), 8000)
    np.testing.assert_array_equal(wave, ClipSource(str(tmp_path)).read(Clip(path="a.flac", label="x"), 8000))
    with pytest.raises(BrokenClip, match="there is no such file"):
        source.read(Clip(path="x/b.flac", label="x"), 8000)
    with pytest.raises(BrokenClip, match="there is no such file"):
        source.header("x/b.flac")


@pytest.fixture
def far_clips(s3: S3Server, tmp_path: Path) -> str:
    """A dataset of two classes on S3; its address."""
    root = s3.uri(s3.make_bucket(), "set")
    for label in ("a", "b"):
        for number in range(4):
            path = tmp_path / f"{label}{number}.wav"
            write_tone(path, hertz=200.0 + 100 * number)
            locate(join(root, label, path.name)).upload(path)
    return root


def test_a_clip_from_s3_is_near_from_the_second_time_on(far_clips: str, tmp_path: Path) -> None:
    config = TrainingConfig(data=far_clips, validation_split=0.25)
    dataset = read_index(write_index(open_dataset(far_clips, config)))
    clips = [*dataset.train, *dataset.val]
    assert all(clip.version for clip in clips)
    near = NodeCache(tmp_path / "near", 1 << 20)
    first = [ClipSource(dataset.root, near).read(clip, 8000) for clip in clips]
    locate(far_clips).delete_tree()  # so that nothing can come from there any more
    again = pickle.loads(pickle.dumps(ClipSource(dataset.root, near)))
    for wave, clip in zip(first, clips, strict=True):
        np.testing.assert_array_equal(again.read(clip, 8000), wave)
    with pytest.raises(BrokenClip, match="there is no such file"):
        ClipSource(dataset.root, NodeCache(tmp_path / "elsewhere", 1 << 20)).read(clips[0], 8000)


def test_a_clip_that_was_replaced_is_not_kept_as_what_it_was(far_clips: str, tmp_path: Path) -> None:
    near = NodeCache(tmp_path / "near", 1 << 20)
    clip = Clip(path="a/a0.wav", label="a", version=ClipSource(far_clips).header("a/a0.wav").version)
    write_tone(tmp_path / "other.wav", hertz=900.0)
    locate(join(far_clips, "a", "a0.wav")).upload(tmp_path / "other.wav")
    ClipSource(far_clips, near).read(clip, 8000)
    assert near.used_bytes() == 0
    now = ClipSource(far_clips).header("a/a0.wav").version
    assert now != clip.version
    ClipSource(far_clips, near).read(replace(clip, version=now), 8000)
    assert near.used_bytes() > 0


def test_a_clip_of_this_machine_has_no_copy(tmp_path: Path) -> None:
    write_tone(tmp_path / "a.wav")
    source = ClipSource(str(tmp_path), NodeCache(tmp_path / "near", 1 << 20))
    assert source.header("a.wav").version is None
    source.read(Clip(path="a.wav", label="x", version="1"), 8000)
    assert not (tmp_path / "near").exists()
