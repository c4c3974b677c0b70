"""The shim in Ray's worker processes, which run a function before they import anything of ours."""

from __future__ import annotations

from tests.fixtures.ray import RayNode


def test_a_ray_worker_imports_timm_and_torchaudio(ray_node: RayNode) -> None:
    import ray

    # Nested, so that it travels by value and the worker needs no module of this project for it.
    @ray.remote(num_cpus=1)
    def shapes() -> tuple[int, int]:
        import timm
        import torch
        import torchaudio

        model = timm.create_model("convnext_atto", depths=(1, 1, 1, 1), dims=(8, 8, 8, 8), num_classes=3)
        mel = torchaudio.transforms.MelSpectrogram(n_fft=512, n_mels=32)(torch.zeros(1, 3, 16_000))
        return tuple(model(mel).shape)

    assert ray.get(shapes.remote(), timeout=120) == (1, 3)
