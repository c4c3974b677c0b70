"""The checks of installed packages, of where the code comes from, and of the GPUs that torch sees."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from urllib.parse import urlsplit

from thornback.node.checks import Check, error, ok, warning
from thornback.settings import Settings

# https://pytorch.org/audio: since 2.9 torchaudio stands on torch's stable ABI and works with later torches.
_TORCHAUDIO_STABLE = (2, 9)
# torchvision's minor version belongs to one torch: 0.28 to 2.13, 0.27 to 2.12, …
_TORCHVISION_OFFSET = 15
_NEEDED = ("ray", "torch", "torchvision", "torchaudio", "timm", "soundfile", "onnx", "onnxscript", "onnxruntime")
_IMPORT_TIMEOUT_S = 120

_PROBE = """
import torch, torchvision, torchaudio
print(torch.version.cuda or "", torch.cuda.is_available(), torch.cuda.device_count(), sep="|")
for index in range(torch.cuda.device_count()):
    p = torch.cuda.get_device_properties(index)
    print(p.name, p.total_memory, *torch.cuda.get_device_capability(index), sep="|")
"""


def check_versions() -> list[Check]:
    """Python and the packages that must fit each other."""
    version = sys.version_info
    name = f"Python {platform.python_version()}"
    if not (3, 11) <= version[:2] <= (3, 13):
        return [error("python", name, "use Python 3.11, 3.12 or 3.13")]
    checks = [ok("python", name)]
    found: dict[str, str] = {}
    for package in _NEEDED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            checks.append(error(package, "is not installed", "pip install -c constraints.txt -e ."))
    if all(package in found for package in ("torch", "torchvision", "torchaudio")):
        checks.append(torch_family(found["torch"], found["torchvision"], found["torchaudio"]))
    if "ray" in found:
        checks.append(ok("ray", found["ray"]))
    return checks


def check_code(settings: Settings, env: Mapping[str, str]) -> list[Check]:
    """How jobs get our code: it is installed on every node; none of it is sent with a job."""
    installed = metadata.distribution("thornback")
    checks = [code(installed.version, installed.read_text("direct_url.json"), in_cluster=bool(settings.ray_address))]
    hook = env.get("RAY_RUNTIME_ENV_HOOK")
    if hook and settings.ray_address:
        found = f"RAY_RUNTIME_ENV_HOOK is {hook}: it may add an upload of code to every job"
        checks.append(warning("code", found, "unset it; what jobs need belongs in the wheel or the image"))
    return checks


def code(version: str, direct_url: str | None, *, in_cluster: bool) -> Check:
    """By what pip wrote down of where the package came from (PEP 610); None: from an index. Pure."""
    origin = json.loads(direct_url) if direct_url else {}
    if not origin.get("dir_info", {}).get("editable"):
        return ok("code", f"the installed wheel, version {version}; nothing is sent with a job")
    found = f"the checkout {urlsplit(origin['url']).path}, version {version}"
    if not in_cluster:
        return ok("code", f"{found}; nothing is sent with a job")
    mend = "install a wheel (make wheel) or run the image (cluster/Dockerfile), the same on every node"
    return warning("code", f"{found}: other nodes may have another state of it, or none", mend)


def torch_family(torch: str, torchvision: str, torchaudio: str) -> Check:
    """Do the three fit each other? Pure."""
    found = f"torch {torch}, torchvision {torchvision}, torchaudio {torchaudio}"
    mend = (
        "install the three from constraints.txt together: pip install -c constraints.txt torch torchvision torchaudio"
    )
    major, minor = _pair(torch)
    vision, audio = _pair(torchvision), _pair(torchaudio)
    if vision != (0, minor + _TORCHVISION_OFFSET):
        return error("torch family", f"{found}: this torchvision belongs to another torch", mend)
    if audio > (major, minor) or (audio != (major, minor) and audio < _TORCHAUDIO_STABLE):
        return error("torch family", f"{found}: this torchaudio belongs to another torch", mend)
    return ok("torch family", found)


def check_gpu() -> list[Check]:
    """What torch sees, in a process of its own: initialising CUDA here would hold memory on every GPU."""
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-P", "-c", _PROBE], capture_output=True, text=True, timeout=_IMPORT_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return [
            error("gpu", f"importing torch took more than {_IMPORT_TIMEOUT_S} s", "look at the disk and the memory")
        ]
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        mend = "install the versions of constraints.txt: pip install -c constraints.txt -e ."
        return [error("torch", f"torch, torchvision and torchaudio cannot be imported: {reason}", mend)]
    return gpus(done.stdout.strip().splitlines(), has_driver=_has_nvidia_driver())


def gpus(lines: list[str], *, has_driver: bool) -> list[Check]:
    """Read what the probe printed. Pure."""
    cuda, available, _ = lines[0].split("|")
    if available == "True":
        checks = []
        for line in lines[1:]:
            name, memory, major, minor = line.split("|")
            found = f"{name}, {int(memory) / 1024**3:.0f} GiB, compute capability {major}.{minor}, CUDA {cuda}"
            checks.append(ok("gpu", found))
        return checks
    if not has_driver:
        return [ok("gpu", "none; jobs train on the CPU")]
    if cuda:
        mend = "update the NVIDIA driver (nvidia-smi shows what it supports), or install a torch for its CUDA version"
        return [warning("gpu", f"there is an NVIDIA driver, but torch (CUDA {cuda}) cannot use it", mend)]
    mend = "install torch with CUDA: https://pytorch.org/get-started/locally"
    return [warning("gpu", "there is an NVIDIA driver, but this torch is built for the CPU", mend)]


def _has_nvidia_driver() -> bool:
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=20, check=False).returncode == 0  # noqa: S607
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def _pair(version: str) -> tuple[int, int]:
    major, minor = version.split("+", maxsplit=1)[0].split(".")[:2]
    return int(major), int(minor)
