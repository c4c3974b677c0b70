from __future__ import annotations

from typing import Any

import pytest

from thornback.providers.fal_body import detail_text, read_listed, read_sighting
from thornback.providers.port import OrderPhase

RESULT = {"diffusers_lora_file": {"url": "https://v3.fal.media/l.safetensors", "file_size": 89745224}}
FAULTS = {"detail": [{"loc": ["body", "images_data_url"], "msg": "field required", "type": "value_error.missing"}]}


def _read(**body: Any) -> Any:
    return read_sighting({"request_id": "5f0c", "gateway_request_id": "91ab", **body}, endpoint="fal-ai/x")


def test_a_webhook_that_tells_of_success() -> None:
    sighting = _read(status="OK", error=None, payload=RESULT)
    assert sighting.phase is OrderPhase.SUCCEEDED
    assert sighting.provider_id == "5f0c"  # not the gateway's
    assert sighting.outputs == ("https://v3.fal.media/l.safetensors",)
    assert sighting.output == RESULT
    assert sighting.warnings == ()


def test_a_webhook_that_tells_of_failure() -> None:
    sighting = _read(status="ERROR", error="Invalid status code: 422", payload=FAULTS)
    assert sighting.phase is OrderPhase.FAILED
    assert sighting.error == "Invalid status code: 422: body.images_data_url: field required"
    assert sighting.outputs == ()


def test_a_result_that_could_not_be_sent_is_a_success_without_outputs() -> None:
    sighting = _read(status="OK", payload=None, payload_error="Response payload is not JSON serializable")
    assert sighting.phase is OrderPhase.SUCCEEDED
    assert sighting.warnings == ("output is missing: Response payload is not JSON serializable",)


def test_in_the_queue_and_at_work() -> None:
    assert _read(status="IN_QUEUE").phase is OrderPhase.STARTING
    logs = [{"message": " 10%|#|", "level": "STDERR"}, {"message": None}, "plain", 7]
    sighting = _read(status="IN_PROGRESS", logs=logs)
    assert (sighting.phase, sighting.logs) == (OrderPhase.PROCESSING, " 10%|#|\nplain")
    assert _read(status="IN_PROGRESS", logs=None).logs is None


def test_completed_alone_is_not_success() -> None:
    """fal says COMPLETED of requests that failed, too."""
    sighting = _read(status="COMPLETED", logs=[], metrics={"inference_time": 412.3})
    assert sighting.phase is OrderPhase.PROCESSING
    assert sighting.warnings == ("completed, but the result that tells how was not read",)


def test_completed_with_its_result() -> None:
    sighting = _read(status="COMPLETED", metrics={"inference_time": 412.3}, payload=RESULT, result_status=200)
    assert (sighting.phase, sighting.predict_time_s) == (OrderPhase.SUCCEEDED, 412.3)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"payload": FAULTS, "result_status": 422}, "body.images_data_url: field required"),
        ({"payload": {"detail": "Request timed out"}, "error_type": "request_timeout"}, "Request timed out"),
        ({"payload": None, "result_status": 500}, "the result answered 500"),
        ({"payload": None, "error_type": "startup_timeout"}, "startup_timeout"),
        ({"error": "out of memory"}, "out of memory"),
    ],
)
def test_completed_with_an_error_is_failure(body: dict[str, Any], error: str) -> None:
    sighting = _read(status="COMPLETED", **body)
    assert (sighting.phase, sighting.error) == (OrderPhase.FAILED, error)


@pytest.mark.parametrize(
    "body",
    [
        {"error": "Request was cancelled by the user"},
        {"error_type": "cancelled", "payload": None},
        {"error_type": "request_cancelled", "payload": None},
        {"payload": {"detail": "Request cancelled"}, "result_status": 400},
    ],
)
def test_cancelled_in_its_several_words(body: dict[str, Any]) -> None:
    assert _read(status="COMPLETED", **body).phase is OrderPhase.CANCELLED


def test_a_prompt_that_speaks_of_cancelling_is_not_cancelled() -> None:
    assert _read(status="ERROR", error="the prompt 'cancel culture' is not allowed").phase is OrderPhase.FAILED


def test_a_row_of_the_list() -> None:
    row = {
        "request_id": "a1b2",
        "endpoint_id": "fal-ai/flux/dev",
        "sent_at": "2025-01-01T00:00:01Z",
        "started_at": "2025-01-01T00:00:05Z",
        "ended_at": "2025-01-01T00:00:08Z",
        "status_code": 200,
        "duration": 7.8,
        "json_input": {"prompt": "cat astronaut"},
        "json_output": {"images": [{"url": "https://v3.fal.media/1.jpg"}]},
    }
    sighting = read_listed(row)
    assert (sighting.phase, sighting.model, sighting.predict_time_s) == (
        OrderPhase.SUCCEEDED,
        "fal-ai/flux/dev",
        7.8,
    )
    assert sighting.inputs == {"prompt": "cat astronaut"}
    assert sighting.outputs == ("https://v3.fal.media/1.jpg",)
    assert read_listed({**row, "status_code": 422, "json_output": FAULTS}).phase is OrderPhase.FAILED


def test_both_forms_of_an_error_body() -> None:
    assert detail_text({"detail": "no"}) == "no"
    assert detail_text(FAULTS) == "body.images_data_url: field required"
    assert detail_text({"detail": [{"msg": "bad"}, "rubbish"]}) == "bad"
    assert detail_text([]) is None
