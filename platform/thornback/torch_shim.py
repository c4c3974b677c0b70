"""Lets torchvision and torchaudio wheels that were built for CUDA work beside a CPU build of torch.

PyPI has those two only as CUDA builds. Their compiled libraries want CUDA's own, which a machine
with a CPU torch does not have. Then `import torchvision` (so `import timm`) ends with "operator
torchvision::nms does not exist" and `import torchaudio` with "Could not load this library".
Everything of them that is written in Python would work.

`install()` puts a finder in front of the import system that waits for the two modules which load
those libraries. Each runs as it is. Only where its library did not load *and* torch is a CPU build,
it is finished by hand: torchvision's operators get their schemas, torchaudio is told that it has no
extension. A matching build, and every CUDA or ROCm torch, is left alone with its own errors. The
compiled operators (`torchvision.ops.nms`, forced alignment, `torchaudio.functional.lfilter`'s fast
path) stay missing.

The wheel carries `thornback_torch_shim.pth`, by which every interpreter of the environment calls
`install()` as it starts: training drivers, Ray workers that unpickle a function before they import
anything of ours, data loader processes, tests, and a plain `python -c "import timm"`. A call at the
top of our own modules would come too late or not at all for some of these. Where such files are not
read (`PYTHONPATH`, `--target`), `train_jobs` calls `install()` itself. Until something imports
torchvision or torchaudio the whole cost is this module and one look into a dictionary per import:
nothing heavier than `sys` is imported here.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing itself would cost each interpreter of the environment some milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# Schemas of torchvision 0.28 for the operators whose fake kernels it registers as it is imported.
_TORCHVISION_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# A torch.library.Library takes its definitions away again when it is collected.
_kept_alive: list[object] = []


def install() -> None:
    """Watch for torchvision and torchaudio in this process; a second call does nothing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _torch_is_cpu_build() -> bool:
    import torch

    return torch.version.cuda is None and torch.version.hip is None


def _run_torchvision_extension(run: Callable[[ModuleType], None], module: ModuleType) -> None:
    run(module)  # swallows a library that cannot be loaded
    if module._has_ops() or not _torch_is_cpu_build():
        return
    import torch

    missing = [schema for schema in _TORCHVISION_SCHEMAS if not hasattr(torch.ops.torchvision, schema.split("(")[0])]
    if missing:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in missing:
            library.define(schema)
        _kept_alive.append(library)


def _run_torchaudio_extension(run: Callable[[ModuleType], None], module: ModuleType) -> None:
    try:
        run(module)
    except OSError:  # from ctypes: the library is there and cannot be opened
        if not _torch_is_cpu_build():
            raise
        from torchaudio._internal.module_utils import fail_with_message

        vars(module).update(
            _IS_TORCHAUDIO_EXT_AVAILABLE=False,
            _IS_ALIGN_AVAILABLE=False,
            _check_cuda_version=lambda: None,
            fail_if_no_align=fail_with_message("needs torchaudio's compiled extension, which wants a CUDA torch"),
        )


_RUNNERS = {
    "torchvision.extension": _run_torchvision_extension,
    "torchaudio._extension": _run_torchaudio_extension,
}


class _Finder:
    """Finds the two modules as Python would, and has them run by us."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The usual spec with our loader around its own; None for every other module."""
        if fullname not in _RUNNERS:
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            _wrap(spec.loader, _RUNNERS[fullname])
        return spec


def _wrap(loader: Loader, runner: Callable[[Callable[[ModuleType], None], ModuleType], None]) -> None:
    """Have `runner` execute the module; all else (source, resources, data) is the loader's own business."""
    run = loader.exec_module
    # The loader was made for this spec alone, so an attribute of the instance touches no other module.
    loader.exec_module = lambda module: runner(run, module)  # type: ignore[method-assign]
