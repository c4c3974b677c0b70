"""A LoRA that is small and yet one: the header, names and shapes that loaders look for."""

from __future__ import annotations

import json
from functools import lru_cache

from thornback.simulator.models import Family

# (module, its input width, its output width); one of each kind of block is enough to be recognised
_MODULES: dict[Family, tuple[tuple[str, int, int], ...]] = {
    "flux": (
        ("transformer.transformer_blocks.0.attn.to_q", 3072, 3072),
        ("transformer.single_transformer_blocks.0.attn.to_q", 3072, 3072),
    ),
    "wan": (
        ("diffusion_model.blocks.0.self_attn.q", 5120, 5120),
        ("diffusion_model.blocks.0.cross_attn.q", 5120, 5120),
    ),
    "qwen": (("transformer.transformer_blocks.0.attn.to_q", 3072, 3072),),
}


@lru_cache(maxsize=16)
def lora_file(family: Family = "flux", *, rank: int = 16, seed: int = 0, trigger: str = "TOK", steps: int = 0) -> bytes:
    """A .safetensors file in half precision; equal arguments give equal bytes."""
    import numpy as np  # a quarter of a second that only those pay who download
    from safetensors.numpy import save

    rng = np.random.default_rng(seed)
    tensors = {}
    for module, width_in, width_out in _MODULES[family]:
        tensors[f"{module}.lora_A.weight"] = rng.normal(0, 0.01, (rank, width_in)).astype(np.float16)
        tensors[f"{module}.lora_B.weight"] = rng.normal(0, 0.01, (width_out, rank)).astype(np.float16)
    metadata = {
        "format": "pt",
        "name": "flux_train_replicate",
        "software": json.dumps({"name": "ai-toolkit", "repo": "https://github.com/ostris/ai-toolkit"}),
        "training_info": json.dumps({"step": steps, "trigger_word": trigger}),
    }
    return save(tensors, metadata=metadata)
