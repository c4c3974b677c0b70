"""The plainest Ray Train script that trains the step of `time_to_first_metric`; it knows nothing of ours.

`python plain_step.py MANIFEST OUTPUT` appends lines `name seconds-since-1970` to OUTPUT.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any


def note(output: str, name: str) -> None:
    """When something happened."""
    with Path(output).open("a") as file:
        file.write(f"{name} {time.time()}\n")


def train(config: dict[str, Any]) -> None:
    """One step of convnext_atto on the first clips of the manifest."""
    import csv

    import numpy as np
    import soundfile
    import timm
    import torch
    from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

    note(config["output"], "worker imported")
    torch.set_num_threads(1)
    manifest = Path(config["manifest"])
    with manifest.open() as file:
        rows = list(csv.DictReader(file))[:32]
    labels = sorted({row["label"] for row in rows})
    waves = np.stack([soundfile.read(manifest.parent / row["path"], dtype="float32")[0][:8000] for row in rows])
    target = torch.tensor([labels.index(row["label"]) for row in rows])
    mel = MelSpectrogram(sample_rate=8000, n_fft=1024, hop_length=200, n_mels=96)
    model = timm.create_model("convnext_atto", in_chans=1, num_classes=len(labels))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    spectrogram = AmplitudeToDB(top_db=80)(mel(torch.from_numpy(waves)).unsqueeze(1))
    loss = torch.nn.functional.cross_entropy(model(spectrogram), target)
    loss.backward()
    optimizer.step()
    print(f"loss {loss.item():.4f}", flush=True)
    note(config["output"], "first metric")


def main() -> None:
    """Submit one worker."""
    manifest, output = sys.argv[1:]
    note(output, "driver began")
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    note(output, "driver imported")
    trainer = TorchTrainer(
        train,
        train_loop_config={"manifest": manifest, "output": output},
        scaling_config=ScalingConfig(num_workers=1),
        run_config=RunConfig(storage_path=str(Path(output).parent / "ray")),
    )
    trainer.fit()


if __name__ == "__main__":
    main()
