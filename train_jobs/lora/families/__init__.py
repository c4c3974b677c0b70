"""The model families that can be trained; one file each."""

from __future__ import annotations

from collections.abc import Mapping

from train_jobs.lora.families.base import Family
from train_jobs.lora.families.chroma import Chroma
from train_jobs.lora.families.flux1 import Flux1
from train_jobs.lora.families.flux2 import Flux2Klein
from train_jobs.lora.families.qwen_image import QwenImage
from train_jobs.lora.families.sd3 import Sd3
from train_jobs.lora.families.sd15 import Sd15
from train_jobs.lora.families.sdxl import Sdxl
from train_jobs.lora.families.z_image import ZImage

FAMILIES: Mapping[str, Family] = {
    family.name: family for family in (Flux1(), Sdxl(), Sd15(), Flux2Klein(), QwenImage(), ZImage(), Sd3(), Chroma())
}
# As `_class_name` in a model's model_index.json names them.
BY_PIPELINE: Mapping[str, Family] = {family.pipeline: family for family in FAMILIES.values()}
