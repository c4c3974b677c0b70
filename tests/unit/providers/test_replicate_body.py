from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from thornback.providers.port import OrderPhase
from thornback.providers.replicate_body import read_sighting

SUCCEEDED: dict[str, Any] = {
    "id": "k3v9c2m7xdrm00ckq1s8w5t4ze",
    "model": "ostris/flux-dev-lora-trainer",
    "version": "4ffd",
    "input": {"input_images": "https://sim.local/v1/files/f_17/download", "steps": 1000, "trigger_word": "TOK"},
    "logs": "100%",
    "error": None,
    "status": "succeeded",
    "created_at": "2026-11-21T10:00:00.412Z",
    "started_at": "2026-11-21T10:00:19.195332906Z",
    "completed_at": "2026-11-21T10:24:51.902114Z",
    "output": {"version": "acme/my-lora:7d1f", "weights": "https://replicate.delivery/xezq/abc123/trained_model.tar"},
    "metrics": {"predict_time": 1472.7, "total_time": 1491.5},
    "urls": {"get": "https://api.replicate.com/v1/predictions/k3", "web": "https://replicate.com/p/k3"},
}


def test_a_training_that_succeeded() -> None:
    sighting = read_sighting(SUCCEEDED)
    assert sighting.phase is OrderPhase.SUCCEEDED
    assert sighting.outputs == ("https://replicate.delivery/xezq/abc123/trained_model.tar",)
    assert sighting.version == "acme/my-lora:7d1f"
    assert (sighting.predict_time_s, sighting.total_time_s) == (1472.7, 1491.5)
    assert sighting.completed_at == datetime(2026, 11, 21, 10, 24, 51, 902114, tzinfo=UTC)
    assert sighting.web_url == "https://replicate.com/p/k3"
    assert sighting.warnings == ()


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"completed_at": "soon"}, "completed_at cannot be read: 'soon'"),
        ({"started_at": None}, "started_at is missing"),
        ({"input": {}}, "input is missing"),
        ({"input": "text"}, "input is no object"),
        ({"output": None}, "output is missing"),
        ({"metrics": {"total_time": 3.0}}, "metrics.predict_time is missing"),
        ({"metrics": {"predict_time": "long", "total_time": 3.0}}, "metrics.predict_time cannot be read: 'long'"),
    ],
)
def test_a_gap_is_warned_of_and_the_rest_is_read(change: dict[str, Any], warning: str) -> None:
    sighting = read_sighting(SUCCEEDED | change)
    assert sighting.warnings == (warning,)
    assert sighting.phase is OrderPhase.SUCCEEDED


def test_removed_data_is_one_warning() -> None:
    sighting = read_sighting(SUCCEEDED | {"data_removed": True, "output": None, "input": None, "logs": None})
    assert sighting.data_removed
    assert sighting.outputs == ()
    assert sighting.warnings == ("Replicate has removed the inputs and outputs",)


@pytest.mark.parametrize("output", ["https://r.example/out-0.webp", ["https://r.example/out-0.webp"]])
def test_one_output_is_like_a_list_of_one(output: object) -> None:
    assert read_sighting(SUCCEEDED | {"output": output}).outputs == ("https://r.example/out-0.webp",)


def test_a_link_that_is_no_address_is_not_passed_on() -> None:
    sighting = read_sighting(SUCCEEDED | {"urls": {"web": "javascript:alert(1)"}})
    assert sighting.web_url == "https://replicate.com/p/k3v9c2m7xdrm00ckq1s8w5t4ze"


def test_an_error_that_is_no_text_is_kept_as_json() -> None:
    sighting = read_sighting(SUCCEEDED | {"status": "failed", "error": {"code": 7}})
    assert sighting.error == '{"code": 7}'
