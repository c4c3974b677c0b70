from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch

from tests.fixtures.s3 import S3Server
from tests.unit.train_jobs.helpers import make_training, run, small_config
from thornback.artifacts.files import join, locate
from thornback.errors import DataError
from train_jobs.common.recovery import RECORD, repair
from train_jobs.common.snapshots import STATE, is_whole, upload
from train_jobs.convnext.checkpoint import (
    OPTIMIZER,
    WEIGHTS,
    read_best,
    read_snapshot,
)
from train_jobs.convnext.plan import RunFolder
from train_jobs.convnext.state import Best, RunState, Sums


@pytest.fixture(scope="module")
def written(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of one epoch."""
    folder = tmp_path_factory.mktemp("written")
    run(small_config(tones, epochs=1), folder)
    return folder / "epoch-0001"


def test_state_survives_json_to_the_last_bit() -> None:
    state = RunState(
        epoch=3,
        done=7,
        epoch_sums=Sums(loss=0.1 + 0.2, right=2.0, clips=3.0),
        best=Best(epoch=2, loss=1 / 3, accuracy=0.5, macro_f1=0.4, recall=[None, 1.0], confusion=[[1, 0], [2, 3]]),
        broken={"a.wav": "why"},
    )
    state.watch.see(1, 2 / 3)
    assert RunState.from_dict(json.loads(json.dumps(state.as_dict()))) == state


@pytest.mark.parametrize("name", [WEIGHTS, OPTIMIZER, STATE])
def test_a_checkpoint_that_lacks_a_part_is_not_whole(written: Path, tmp_path: Path, name: str) -> None:
    place = locate(str(tmp_path / "copy"))
    upload(written, place)
    assert is_whole(place)
    content = (tmp_path / "copy" / name).read_bytes()
    (tmp_path / "copy" / name).write_bytes(content[: len(content) // 2])
    assert not is_whole(place)
    with pytest.raises(DataError, match="resume_from: there is no whole checkpoint"):
        read_snapshot(place)
    (tmp_path / "copy" / name).unlink()
    assert not is_whole(place)


def test_nothing_but_tensors_is_unpickled(written: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "touched"),)  # type: ignore[return-value]

    folder = tmp_path / "evil"
    upload(written, locate(str(folder)))
    (folder / OPTIMIZER).write_bytes(pickle.dumps(Evil(), protocol=2))
    described = json.loads((folder / STATE).read_bytes())
    described["files"][OPTIMIZER] = (folder / OPTIMIZER).stat().st_size
    (folder / STATE).write_text(json.dumps(described))
    with pytest.raises(pickle.UnpicklingError):
        read_snapshot(locate(str(folder)))
    assert not (tmp_path / "touched").exists()


def test_a_checkpoint_lives_on_s3(written: Path, s3: S3Server) -> None:
    uri = s3.uri(s3.make_bucket(), "run/train/epoch-0001")
    upload(written, locate(uri))
    local, remote = read_snapshot(locate(str(written))), read_snapshot(locate(uri))
    assert remote.state == local.state
    assert all(torch.equal(remote.weights[name], local.weights[name]) for name in local.weights)
    assert local.best is not None
    assert read_best(locate(uri)).keys() == local.best.keys()


def test_another_run_starts_from_it(written: Path, tones: Path, tmp_path: Path) -> None:
    training = make_training(small_config(tones, epochs=2), tmp_path)
    snapshot = read_snapshot(locate(str(written)))
    training.learner.restore(snapshot)
    assert all(torch.equal(tensor, snapshot.weights[name]) for name, tensor in training.learner.weights().items())


class TestRepair:
    def lay_out(self, written: Path, folder: Path, names: list[str], record: str | None) -> RunFolder:
        run_folder = RunFolder(uri=str(folder))
        for step, name in enumerate(names):
            upload(written, locate(join(run_folder.train, name)))
            state = folder / "train" / name / STATE
            described = json.loads(state.read_bytes())
            described["state"]["step"] = step
            state.write_text(json.dumps(described))
        if record is not None:
            (folder / "train").mkdir(exist_ok=True)
            (folder / "train" / RECORD).write_text(record)
        return run_folder

    def test_a_new_run_has_nothing_to_repair(self, tmp_path: Path) -> None:
        assert repair(str(tmp_path)) is None

    def test_a_sound_record_is_left_alone(self, written: Path, tmp_path: Path) -> None:
        record = json.dumps({"checkpoint_results": [{"checkpoint_dir_name": "epoch-0001"}]})
        folder = self.lay_out(written, tmp_path, ["epoch-0001", "step-00000009"], record)
        assert repair(folder.uri) is None
        assert (tmp_path / "train" / RECORD).read_text() == record

    @pytest.mark.parametrize(
        "record",
        [
            '{"checkpoint_results": [{"checkpoint_di',  # cut off
            "{}",
            json.dumps({"checkpoint_results": [{"checkpoint_dir_name": "epoch-0007"}]}),  # which is not there
            None,  # killed after the first upload and before the record
        ],
    )
    def test_a_damaged_record_is_replaced_by_the_newest_whole_checkpoint(
        self, written: Path, tmp_path: Path, record: str | None
    ) -> None:
        folder = self.lay_out(written, tmp_path, ["epoch-0001", "epoch-0002", "step-00000003"], record)
        (tmp_path / "train" / "step-00000003" / WEIGHTS).unlink()
        assert repair(folder.uri) == str(tmp_path / "train" / "epoch-0002")
        assert not (tmp_path / "train" / RECORD).exists()
