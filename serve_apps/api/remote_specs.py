"""What the schema of a job at a provider cannot say: is the provider set up, and does its trainer take that?"""

from __future__ import annotations

from thornback.errors import InvalidInput
from thornback.jobs.prompts import expand
from thornback.jobs.spec import ImageSetSpec, JobSpec, RemoteLoraSpec
from thornback.providers.catalogue import Catalogue
from thornback.providers.open import KEYS, configured
from thornback.settings import Settings

# Stands for what exists only after the job has begun; it is never asked for.
_ANY_DATASET = "https://dataset.invalid/images.zip"


def check_spec(spec: JobSpec, settings: Settings, catalogue: Catalogue) -> None:
    """Refuse at once what a provider would refuse, or fail with, later.

    Raises:
        InvalidInput: names the field, and what the trainer or model takes.
    """
    if not isinstance(spec, RemoteLoraSpec | ImageSetSpec):
        return
    if spec.backend not in configured(settings):
        raise InvalidInput.field("backend", f"{spec.backend} is not set up here: set {KEYS[spec.backend]}")
    if isinstance(spec, RemoteLoraSpec):
        catalogue.trainer(spec.backend, spec.config.trainer).inputs_for(spec.config, _ANY_DATASET)
    else:
        config = spec.config
        longest = max(expand(config), key=len)
        catalogue.image_model(spec.backend, config.model).inputs_for(config, longest, config.seed)
