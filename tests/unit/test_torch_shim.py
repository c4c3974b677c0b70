"""The shim in whole processes: what it mends, what it leaves alone, what it costs.

Each case is a fresh interpreter of this environment. None of them imports thornback: the `.pth` file
of the installed package has to have done it.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

from thornback import torch_shim

CPU_TORCH = torch.version.cuda is None and torch.version.hip is None
needs_cpu_torch = pytest.mark.skipif(not CPU_TORCH, reason="torch is a CUDA or ROCm build: there is nothing to mend")


def python(code: str, *flags: str, path: Path | None = None) -> dict[str, Any]:
    """Run `code` and return the JSON object that it prints last; stderr is part of a failure's message."""
    env = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"} | ({"PYTHONPATH": str(path)} if path else {})
    command = [sys.executable, *flags, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, env=env, cwd=path or "/", capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(result, dict)
    return result


def test_timm_and_torchaudio_work_where_nobody_asked_for_the_shim() -> None:
    result = python("""
        import json, pickle, timm, torch, torchaudio
        from torchvision.transforms import v2
        model = timm.create_model("convnext_atto", in_chans=1, num_classes=3, depths=(1, 1, 1, 1), dims=(8, 8, 8, 8))
        mel = torchaudio.transforms.MelSpectrogram(sample_rate=16000, n_fft=512, n_mels=32)(torch.randn(2, 1, 16000))
        logits = pickle.loads(pickle.dumps(model.eval()))(v2.Resize((64, 64))(mel))
        filtered = torchaudio.functional.lfilter(torch.ones(1, 8), torch.tensor([1.0, 0.5]), torch.tensor([1.0, 0.0]))
        print(json.dumps({"mel": mel.shape, "logits": logits.shape, "filtered": filtered[0].tolist()}))
    """)
    # 16000 samples, hop n_fft/2 = 256, centred: 1 + 16000 // 256 = 63 frames. y[n] = x[n] - 0.5 y[n-1], clamped to 1.
    assert result["mel"] == [2, 1, 32, 63]
    assert result["logits"] == [2, 3]
    assert result["filtered"][:3] == pytest.approx([1.0, 0.5, 0.75])


@needs_cpu_torch
def test_what_has_no_compiled_code_says_so() -> None:
    result = python("""
        import json, torch, torchaudio, torchvision
        def refusal(call):
            try:
                call()
            except (RuntimeError, NotImplementedError) as error:
                return str(error)
        boxes = torch.zeros(1, 4)
        print(json.dumps({
            "nms": refusal(lambda: torchvision.ops.nms(boxes, torch.zeros(1), 0.5)),
            "align": refusal(lambda: torchaudio.functional.forced_align(boxes[None], boxes[:, :1].int())),
        }))
    """)
    assert "custom C++ ops" in result["nms"]
    assert "compiled extension" in result["align"]


def test_a_spawned_data_loader_worker_has_it_too(tmp_path: Path) -> None:
    (tmp_path / "clips.py").write_text("import torchaudio, torchvision\nclips = [torchaudio.__name__] * 4\n")
    (tmp_path / "main.py").write_text(
        textwrap.dedent("""
        import json
        from torch.utils.data import DataLoader, Dataset

        class Clips(Dataset):
            def __len__(self):
                return 4
            def __getitem__(self, index):
                import clips  # in the worker alone
                return clips.clips[index]

        if __name__ == "__main__":
            loader = DataLoader(Clips(), batch_size=2, num_workers=1, multiprocessing_context="spawn")
            print(json.dumps([name for batch in loader for name in batch]))
    """)
    )
    command = [sys.executable, str(tmp_path / "main.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["torchaudio"] * 4


@needs_cpu_torch
@pytest.mark.parametrize("build", ["cuda", "hip"])
def test_a_cuda_or_rocm_torch_keeps_its_own_errors(build: str) -> None:
    result = python(f"""
        import json, torch
        torch.version.{build} = "13.0"
        errors = dict()
        for name in ("torchvision", "torchaudio"):
            try:
                __import__(name)
            except (RuntimeError, OSError) as error:
                errors[name] = str(error)
        print(json.dumps(errors))
    """)
    assert "torchvision::nms does not exist" in result["torchvision"]
    assert "Could not load this library" in result["torchaudio"]


def test_wheels_whose_libraries_load_run_as_they_are(tmp_path: Path) -> None:
    for name, module, body in (
        ("torchvision", "extension", "def _has_ops():\n    return True\n"),
        ("torchaudio", "_extension", "_IS_TORCHAUDIO_EXT_AVAILABLE = _IS_ALIGN_AVAILABLE = True\n"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"from . import {module}\n")
        (tmp_path / name / f"{module}.py").write_text(body)
    result = python(
        """
        import json, sys, torchaudio, torchvision
        kept = sys.modules["thornback.torch_shim"]._kept_alive
        names = sorted(name for name in vars(torchaudio._extension) if not name.startswith("__"))
        print(json.dumps({"names": names, "schemas": len(kept), "torch": "torch" in sys.modules}))
        """,
        path=tmp_path,
    )
    assert result == {"names": ["_IS_ALIGN_AVAILABLE", "_IS_TORCHAUDIO_EXT_AVAILABLE"], "schemas": 0, "torch": False}


def test_asking_whether_a_package_is_there_imports_nothing() -> None:
    result = python("""
        import json, sys
        from importlib.util import find_spec
        found = [find_spec("torchvision") is not None, find_spec("torchaudio") is not None]
        print(json.dumps({"found": found, "torch": "torch" in sys.modules}))
    """)
    assert result == {"found": [True, True], "torch": False}


def test_it_loads_nothing_but_itself() -> None:
    source = Path(torch_shim.__file__).parents[1]
    code = f"""
        import sys
        sys.path.append({str(source)!r})
        before = set(sys.modules)
        import thornback.torch_shim
        thornback.torch_shim.install()
        loaded = sorted(set(sys.modules) - before)
        import json
        print(json.dumps(dict(loaded=loaded)))
    """
    assert python(code, "-S", "-I")["loaded"] == ["__future__", "thornback", "thornback.torch_shim"]


def test_installing_twice_leaves_one_finder() -> None:
    torch_shim.install()
    torch_shim.install()
    finders = [finder for finder in sys.meta_path if type(finder).__module__ == torch_shim.__name__]
    assert len(finders) == 1


def test_a_second_import_of_torchvision_defines_nothing_twice() -> None:
    result = python("""
        import importlib, json, sys, torchvision
        kept = sys.modules["thornback.torch_shim"]._kept_alive
        before = len(kept)
        importlib.reload(torchvision.extension)
        print(json.dumps({"before": before, "after": len(kept)}))
    """)
    assert result["after"] == result["before"] == (1 if CPU_TORCH else 0)


def test_install_pickles() -> None:
    assert pickle.loads(pickle.dumps(torch_shim.install)) is torch_shim.install
