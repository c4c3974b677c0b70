"""The official clients, pointed at the simulator in the ways their users can, and a data set."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import fal_client
import fal_client.client as fal_module
import httpx
import pytest
from replicate.client import Client

from tests.integration.simulator.receiver import Receiver, receiving
from thornback.simulator.server import SimulatorServer

TRAINER = "ostris/flux-dev-lora-trainer"
VERSION = "4ffd32160efd92e956d39c5338a9b8fbafca58e03f791f6d8011f3e20e8ea6fa"
DESTINATION = "simulator/ada"


def archive(pictures: int = 5, *, captions: bool = True) -> bytes:
    """A data set: names as they should be, in a true ZIP."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for number in range(pictures):
            file.writestr(f"{number}.jpg", b"\xff\xd8\xff")
            if captions:
                file.writestr(f"{number}.txt", "a photo of TOK")
    return out.getvalue()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Something that webhooks can be sent to."""
    with receiving() as it:
        yield it


@pytest.fixture
def rep(simulator: SimulatorServer) -> Iterator[Client]:
    """Replicate's client."""
    client = Client(api_token=simulator.replicate_token, base_url=simulator.url)
    yield client
    client._client.close()


@pytest.fixture
def fal(simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[fal_client.SyncClient]:
    """fal's client; its scheme is fixed, so four addresses of its module are set instead."""
    point_fal_at(simulator.url, monkeypatch)
    uploads: list[httpx.Client] = []
    make = fal_client.SyncClient._get_cdn_client

    def remembered(client: fal_client.SyncClient) -> httpx.Client:
        uploads.append(make(client))
        return uploads[-1]

    monkeypatch.setattr(fal_client.SyncClient, "_get_cdn_client", remembered)  # it leaves one open at each upload
    client = fal_client.SyncClient(key=simulator.fal_key)
    yield client
    for left in (client._client, *uploads):
        left.close()


def point_fal_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of fal's clients read these at each call."""
    for name, value in (
        ("QUEUE_URL_FORMAT", f"{url}/"),
        ("RUN_URL_FORMAT", f"{url}/"),
        ("REST_URL", url),
        ("CDN_URL", url),
    ):
        monkeypatch.setattr(fal_module, name, value)


@pytest.fixture
def http(simulator: SimulatorServer) -> Iterator[httpx.Client]:
    """A plain client with Replicate's token."""
    headers = {"Authorization": f"Bearer {simulator.replicate_token}"}
    with httpx.Client(base_url=simulator.url, headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture
def dataset(rep: Client) -> str:
    """Five pictures with captions, uploaded to Replicate."""
    file = io.BytesIO(archive())
    file.name = "ada.zip"
    return rep.files.create(file).urls["get"]


def train(
    client: Client,
    dataset: str,
    *,
    webhook: str | None = None,
    events: list[str] | None = None,
    steps: int = 40,
) -> Any:
    """Order a LoRA, whose destination is made first."""
    client.models.create("simulator", "ada", hardware="gpu-t4", visibility="private")
    options: Any = {"webhook": webhook, "webhook_events_filter": events} if webhook else {}
    return client.trainings.create(
        model=TRAINER,
        version=VERSION,
        destination=DESTINATION,
        input={"input_images": dataset, "steps": steps, "trigger_word": "TOK"},
        **options,
    )


def finish(simulator: SimulatorServer, *orders: Any) -> None:
    """Turn the clock until all have ended, and see how."""
    simulator.run_all()
    for order in orders:
        order.reload()
