"""Every row of the catalogue, ordered from the simulated providers: they take our names, we find their files."""

from __future__ import annotations

import fnmatch
import io
import tarfile
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.contracts.providers.bench import Clock
from thornback.errors import OrderUnknown, ProviderUnavailable, ThornbackError
from thornback.jobs.image_set import ImageSetConfig
from thornback.jobs.lora import RemoteLoraConfig
from thornback.providers.catalogue import Catalogue, load_catalogue
from thornback.providers.entry import ImageModel, Trainer
from thornback.providers.open import configured, open_provider
from thornback.providers.port import Order, OrderPhase, Provider, Sighting
from thornback.settings import Settings
from thornback.simulator.server import SimulatorServer


@pytest.fixture
def settings(simulator: SimulatorServer, tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path,
        replicate_api_token=simulator.replicate_token,
        replicate_url=simulator.url,
        fal_key=simulator.fal_key,
        fal_url=simulator.url,
    )


@pytest.fixture
def catalogue(settings: Settings) -> Catalogue:
    return load_catalogue(settings)


@pytest.fixture
async def providers(settings: Settings) -> AsyncIterator[dict[str, Provider]]:
    clock = Clock()
    opened = {name: open_provider(name, settings, clock) for name in configured(settings)}
    yield opened
    for provider in opened.values():
        await provider.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ZIP of ten pictures, the most that any trainer asks for."""
    file = tmp_path_factory.mktemp("set") / "set.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(10):
            image = io.BytesIO()
            Image.new("RGB", (8, 8), (20 * number, 0, 0)).save(image, "PNG")
            archive.writestr(f"{number}.png", image.getvalue())
    return file


def _order(row: Trainer | ImageModel, inputs: dict[str, Any]) -> Order:
    return Order(
        job_id="6f1c8c3e",
        item=1,
        number=1,
        endpoint=row.endpoint,
        call=row.call,
        inputs=inputs,
        webhook_url=None,
    )


async def _train(provider: Provider, trainer: Trainer, pictures: Path) -> Sighting:
    address = await provider.upload(pictures, content_type="application/zip")
    config = RemoteLoraConfig(dataset=str(pictures), trigger_word="ADA", steps=100)
    return await provider.submit(_order(trainer, trainer.inputs_for(config, address)))


async def test_every_trainer_trains_and_its_weights_are_found(
    simulator: SimulatorServer, catalogue: Catalogue, providers: dict[str, Provider], pictures: Path
) -> None:
    for row in catalogue.list():
        if not isinstance(row, Trainer):
            continue
        provider = providers[row.provider]
        sent = await _train(provider, row, pictures)
        await simulator.run_all_async()
        seen = await provider.look(row.endpoint, row.call, sent.provider_id)
        assert (row.name, seen.phase, seen.error) == (row.name, OrderPhase.SUCCEEDED, None)
        weights = row.weights_of(seen.output)
        assert weights, row.name
        assert set(weights) <= set(seen.outputs)
        assert seen.logs
        assert "100/100" in seen.logs
        cost = row.actual(seen, RemoteLoraConfig(dataset="x", steps=100))
        assert cost is not None, row.name
        assert cost.usd > 0
        assert catalogue.by_endpoint(row.provider, seen.model or "") is row
        async with httpx.AsyncClient() as client:
            answer = await client.get(weights[0], headers=provider.download_headers(weights[0]))
        assert answer.status_code == 200
        if row.archive is not None:
            with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
                assert len(fnmatch.filter(archive.getnames(), row.archive)) == 1
    assert len({order.id for order in simulator.orders}) == 9


async def test_every_image_model_makes_an_image(
    simulator: SimulatorServer, catalogue: Catalogue, providers: dict[str, Provider]
) -> None:
    config = ImageSetConfig(character="ada", prompts=["a portrait"], aspect_ratio="16:9")
    for row in catalogue.list():
        if not isinstance(row, ImageModel):
            continue
        provider = providers[row.provider]
        sent = await provider.submit(_order(row, row.inputs_for(config, "a portrait", 7)))
        await simulator.run_all_async()
        seen = await provider.look(row.endpoint, row.call, sent.provider_id)
        assert (row.name, seen.phase, len(seen.outputs)) == (row.name, OrderPhase.SUCCEEDED, 1)


async def test_a_training_without_a_destination_gets_one(
    simulator: SimulatorServer, catalogue: Catalogue, providers: dict[str, Provider], pictures: Path
) -> None:
    await _train(providers["replicate"], catalogue.trainer("replicate"), pictures)
    assert simulator.orders[0].destination == "simulator/thornback-6f1c8c3e"


async def test_what_goes_wrong_at_replicate_has_a_reading(
    simulator: SimulatorServer, catalogue: Catalogue, providers: dict[str, Provider], pictures: Path
) -> None:
    provider, trainer = providers["replicate"], catalogue.trainer("replicate")
    ids = {}
    for mishap in ("aborted", "succeed_then_fail", "control_characters", "data_removed", "vanish"):
        simulator.faults.add(mishap)
        ids[mishap] = (await _train(provider, trainer, pictures)).provider_id
    await simulator.run_all_async()
    seen = {
        name: await provider.look(trainer.endpoint, trainer.call, id) for name, id in ids.items() if name != "vanish"
    }
    assert {name: sighting.phase for name, sighting in seen.items()} == {
        "aborted": OrderPhase.CANCELLED,
        "succeed_then_fail": OrderPhase.FAILED,
        "control_characters": OrderPhase.SUCCEEDED,
        "data_removed": OrderPhase.SUCCEEDED,
    }
    assert "\x1b" in str(seen["control_characters"].logs)
    assert seen["data_removed"].data_removed
    assert seen["data_removed"].outputs == ()
    await simulator.advance_async(1801)
    with pytest.raises(OrderUnknown):
        await provider.look(trainer.endpoint, trainer.call, ids["vanish"])


async def test_what_goes_wrong_at_fal_has_a_reading(
    simulator: SimulatorServer, catalogue: Catalogue, providers: dict[str, Provider], pictures: Path
) -> None:
    provider, trainer = providers["fal"], catalogue.trainer("fal")
    for mishap, error in (("unavailable", "No runner"), ("succeed_then_fail", "could not be uploaded")):
        simulator.faults.add(mishap)
        provider_id = (await _train(provider, trainer, pictures)).provider_id
        await simulator.run_all_async()
        seen = await provider.look(trainer.endpoint, trainer.call, provider_id)
        assert (mishap, seen.phase) == (mishap, OrderPhase.FAILED)
        assert error in str(seen.error)


async def test_an_account_with_little_credit_is_told_how_long_to_wait(
    simulator: SimulatorServer, catalogue: Catalogue, providers: dict[str, Provider]
) -> None:
    simulator.faults.add("low_credit", times=None)
    provider, model = providers["replicate"], catalogue.image_model("replicate")
    await provider.submit(_order(model, {"prompt": "a"}))
    with pytest.raises(ProviderUnavailable) as caught:
        await provider.submit(_order(model, {"prompt": "b"}))
    assert 0 < caught.value.details["retry_after_s"] <= 60
    assert provider.health().limited_until is not None
    sent = len(simulator.requests)
    with pytest.raises(ProviderUnavailable):
        await provider.submit(_order(model, {"prompt": "c"}))
    assert len(simulator.requests) == sent  # it is not asked again before


async def test_the_clients_retries_reach_nothing(
    simulator: SimulatorServer, catalogue: Catalogue, providers: dict[str, Provider]
) -> None:
    """fal's client would send an order ten times here, and each would be paid for."""
    for name, provider in providers.items():
        for fault in ("lost_answer", "invalid_json", "throttle"):
            simulator.faults.add(fault, on=f"{name}.*.create")
            before = len(simulator.requests)
            with pytest.raises(ThornbackError, match=name):
                await provider.submit(_order(catalogue.image_model(name), {"prompt": fault}))
            assert len(simulator.requests) == before + 1
    assert len(simulator.orders) == 4  # the answers of four were lost
