"""The simulator's own HTTP API."""

from __future__ import annotations

import httpx

from thornback.simulator.faults import KINDS
from thornback.simulator.server import SimulatorServer

CREATE = "/v1/models/black-forest-labs/flux-schnell/predictions"


def test_faults_are_ordered_and_cleared_over_http(simulator: SimulatorServer, http: httpx.Client) -> None:
    added = http.post("/simulator/faults", json={"kind": "error", "on": "replicate.*.create", "status": 502})
    assert (added.status_code, added.json()["times"]) == (201, 1)
    listed = http.get("/simulator/faults").json()
    assert [fault["kind"] for fault in listed["faults"]] == ["error"]
    assert set(listed["kinds"]) == set(KINDS)
    orders = {call for call in listed["calls"] if call.endswith(".create")}  # what a fault befalls by default
    assert orders == {"replicate.trainings.create", "replicate.predictions.create", "fal.requests.create"}
    assert http.post(CREATE, json={"input": {"prompt": "a"}}).status_code == 502
    http.post("/simulator/faults", json={"kind": "drop"})
    assert http.delete("/simulator/faults").status_code == 204
    assert http.post(CREATE, json={"input": {"prompt": "a"}}).status_code == 201
    refused = http.post("/simulator/faults", json={"kind": "explode"})
    assert refused.status_code == 422
    assert "explode" in refused.json()["detail"]
    assert http.post("/simulator/faults", json=[]).status_code == 422


def test_what_came_and_went_can_be_looked_at(simulator: SimulatorServer, http: httpx.Client) -> None:
    body = {"input": {"prompt": "a"}, "webhook": "http://127.0.0.1:9/hook"}
    id = http.post(CREATE, json=body).json()["id"]
    http.post("/simulator/advance", json={"seconds": 10}).raise_for_status()
    [order] = http.get("/simulator/orders").json()
    assert (order["id"], order["status"], order["input"]) == (id, "succeeded", {"prompt": "a"})
    [request] = http.get("/simulator/requests").json()
    assert (request["operation"], request["path"]) == ("replicate.predictions.create", CREATE)
    deliveries = http.get("/simulator/deliveries").json()
    assert {delivery["event"] for delivery in deliveries} == {"output", "completed"}
    assert all("ConnectError" in delivery["error"] for delivery in deliveries)


def test_an_order_has_a_page_for_people(simulator: SimulatorServer, http: httpx.Client) -> None:
    body = http.post(CREATE, json={"input": {"prompt": "a", "seed": 4}}).json()
    simulator.run_all()
    text = http.get(body["urls"]["web"]).text
    assert "flux-schnell" in text
    assert "Using seed: 4" in text
    assert http.get("/p/nobody").status_code == 404
