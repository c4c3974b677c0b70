"""Pretrained weights: found before any worker takes a GPU, once, and put into the run's folder.

From there every worker of every attempt reads them, so a hub that goes away later harms nothing. torch
is not needed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from thornback.artifacts.files import join, locate
from thornback.errors import NotFound, WeightsUnavailable
from thornback.jobs.convnext import TrainingConfig
from train_jobs.convnext.plan import RunFolder

# The weights that timm takes by default for each name; a test holds this table to timm's own.
HUB_REPOSITORY: Mapping[str, str] = {
    "convnext_large": "timm/convnext_large.fb_in22k_ft_in1k",
    "convnext_base": "timm/convnext_base.fb_in22k_ft_in1k",
    "convnext_small": "timm/convnext_small.in12k_ft_in1k",
    "convnext_tiny": "timm/convnext_tiny.in12k_ft_in1k",
    "convnext_nano": "timm/convnext_nano.in12k_ft_in1k",
    "convnext_pico": "timm/convnext_pico.d1_in1k",
    "convnext_femto": "timm/convnext_femto.d1_in1k",
    "convnext_atto": "timm/convnext_atto.d2_in1k",
}
HUB_FILE = "model.safetensors"

# The hub's client retries for 23 s where there is no network. One question before tells in this time.
ANSWER_S = 5.0

_WAYS_OUT = "name a file of weights as pretrained_path, or set pretrained to false"


def provide_weights(config: TrainingConfig, folder: RunFolder, *, endpoint: str | None = None) -> str | None:
    """Put the weights into the run's folder and return their address; None where none are wanted.

    Args:
        config: says whether, and from which file.
        folder: of the run; what an earlier attempt put there is used again.
        endpoint: another hub than the usual one.

    Raises:
        WeightsUnavailable: names both ways out.
    """
    if not config.pretrained:
        return None
    source = config.pretrained_path
    suffix = ".safetensors" if source is None else PurePosixPath(source.partition("?")[0]).suffix
    target = join(folder.uri, f"pretrained{suffix}")
    if locate(target).exists():
        return target
    if source is None:
        locate(target).upload(_from_hub(config.model_architecture, endpoint))
        return target
    try:
        locate(target).write_bytes(locate(source).read_bytes())
    except (NotFound, OSError) as error:
        raise WeightsUnavailable(f"pretrained_path: {source} cannot be read ({error}); {_WAYS_OUT}") from error
    return target


def _from_hub(architecture: str, endpoint: str | None) -> Path:
    from httpx2 import HTTPError
    from huggingface_hub import constants, get_session, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    repository = HUB_REPOSITORY[architecture]
    cached = try_to_load_from_cache(repository, HUB_FILE)
    if isinstance(cached, str):
        return Path(cached)
    hub = endpoint or constants.ENDPOINT
    try:
        get_session().head(hub, timeout=ANSWER_S)
        return Path(hf_hub_download(repository, HUB_FILE, endpoint=hub, etag_timeout=ANSWER_S))
    except (HTTPError, HfHubHTTPError, OSError) as error:
        raise WeightsUnavailable(
            f"the pretrained weights {repository} cannot be had from {hub} ({error}); {_WAYS_OUT}",
            repository=repository,
        ) from error
