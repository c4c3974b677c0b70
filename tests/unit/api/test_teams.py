"""What members of a team see of each other's work, and what nobody else gets to know of."""

from __future__ import annotations

import httpx2
from websockets.asyncio.client import connect

from serve_apps.api.seen import SeenJobs
from tests.fixtures.api import FIRST, JOBS, ApiPlatform, Reports, now, serving
from tests.fixtures.model_versions import trained
from tests.unit.api.test_access import TEAM, Guarded, guarded
from thornback.access.sight import Sight
from thornback.jobs.events import EventFactory, JobEvent
from thornback.jobs.status import FailureReason
from thornback.settings import AlertRule

__all__ = ["guarded"]  # the fixture

SETS, QUEUE, REPORTS, MODELS = (f"/api/v1/{name}" for name in ("image-sets", "queue", "reports", "models"))
SET = {"kind": "image_set", "backend": "replicate", "config": {"character": "mira", "prompts": ["a"]}}
VIDEO = {"kind": "video_lora", "config": {"video_url": "https://example.org/clip.mp4", "trigger_word": "MIRA"}}


def failure_of(job_id: str) -> JobEvent:
    return EventFactory(job_id).failed(FIRST, reason=FailureReason.EXCEPTION, message="no such file", at=now())


def test_whom_a_sight_lets_see() -> None:
    tom = Sight(user="tom", teams=frozenset({TEAM}), shared=False)
    assert tom.sees(owner="tom", team="audio")  # left the team, but it is still theirs
    assert tom.sees(owner="ada", team=TEAM)
    assert not tom.sees(owner="ada", team=None)
    assert not tom.sees(owner="bob", team="audio")
    assert Sight(user="tom").sees(owner="ada", team=None)


CASES = [
    ("bob", True, {"open"}),
    ("bob", False, set()),
    ("tom", True, {"open", "team"}),
    ("tess", False, {"team"}),
    ("ada", False, {"open", "team"}),
    ("root", False, {"open", "team"}),
]


async def test_lists_leave_out_what_one_may_not_know_of(guarded: Guarded) -> None:
    for name, team in (("open", None), ("team", TEAM)):
        await guarded.api.create(name, user="ada", team=team)
        failed = await guarded.api.create(f"failed {name}", user="ada", team=team)
        await guarded.api.record(Reports(failed.id).started(), failure_of(failed.id))
        await guarded.api.create_spec({**SET, "job_name": name}, user="ada", team=team)
    for who, shared, names in CASES:
        async with guarded.client(who, shared_jobs=shared, alerts=[AlertRule(name="any")]) as client:
            jobs = (await client.get(JOBS, params={"kind": "convnext"})).json()
            sets = (await client.get(SETS)).json()
            queue = (await client.get(QUEUE)).json()
            usage = (await client.get(f"{REPORTS}/usage", params={"by": "user"})).json()
            failures = (await client.get(f"{REPORTS}/failures")).json()
            alerts = (await client.get("/api/v1/alerts")).json()
        assert {job["job_name"].removeprefix("failed ") for job in jobs["jobs"]} == names
        assert (jobs["total"], sets["total"]) == (2 * len(names), len(names))
        assert len(queue["waiting"]) == 2 * len(names)
        assert sum(row["jobs"] for row in usage["rows"]) == 3 * len(names)
        assert sum(row["jobs"] for row in failures["rows"]) == len(names)
        assert len(alerts["alerts"]) == len(names)


async def test_a_job_is_of_the_only_team_of_who_makes_it(guarded: Guarded) -> None:
    body = {"job_name": "x", "config": {}}
    async with guarded.client("ada") as client:
        made = (await client.post(JOBS, json=body)).json()
        assert made["team"] == TEAM
        assert [job["id"] for job in (await client.get(JOBS, params={"team": TEAM})).json()["jobs"]] == [made["id"]]
        refused = await client.post(JOBS, json=body | {"team": "audio"})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "team")
        await guarded.api.record(Reports(made["id"]).succeeded())
        again = (await client.post(f"{JOBS}/{made['id']}/retry", json={})).json()
        assert again["team"] == TEAM
    async with guarded.client("root") as client:
        assert (await client.post(JOBS, json=body | {"team": "audio"})).json()["team"] == "audio"
        assert (await client.post(JOBS, json=body | {"team": "none"})).status_code == 422
        assert (await client.post(JOBS, json=body)).json()["team"] is None


async def test_members_change_what_outsiders_do_not_know(guarded: Guarded) -> None:
    job = await guarded.api.create(user="ada", team=TEAM)
    for who, statuses in {"bob": (404, 404), "tess": (200, 403), "tom": (200, 202)}.items():
        async with guarded.client(who) as client:
            answers = await client.get(f"{JOBS}/{job.id}"), await client.post(f"{JOBS}/{job.id}/cancel")
            assert tuple(answer.status_code for answer in answers) == statuses
            bulk = await client.post(f"{JOBS}/delete", json={"ids": [job.id]})
            if who == "bob":
                assert bulk.json()["results"][0]["code"] == "job_not_found"
                assert answers[0].json()["detail"] == f"there is no job {job.id}"


async def test_no_address_tells_an_outsider_of_a_job(guarded: Guarded) -> None:
    job = await guarded.api.create(user="ada", team=TEAM)
    video = await guarded.api.create_spec({**VIDEO, "job_name": "video"}, user="ada", team=TEAM)
    body = {"kind": "lora", "backend": "ray", "job_name": "x", "config": {"base_model": "m", "trigger_word": "MIRA"}}
    async with guarded.client("bob") as client:
        answers = [
            await client.get(f"/api/replicate/training-logs/{job.id}"),
            await client.get(f"/api/modal/model-status/{job.id}"),
            await client.get(f"/api/lora/status/{video.id}"),
            await client.post("/api/replicate/sync-completed", json={"modelId": job.id}),
            await client.post(f"{JOBS}/{job.id}/retry", json={}),
            await client.post("/api/v1/tickets", json={"job_id": job.id}),
            await client.get(f"{JOBS}/{job.id}/events"),
            await client.post("/api/v1/models/mira/versions", json={"job_id": job.id}),
        ]
        assert [answer.status_code for answer in answers] == [404] * len(answers)
        body["config"] |= {"dataset": f"job:{job.id}"}  # type: ignore[operator]
        named = await client.post(JOBS, json=body)
        assert (named.status_code, named.json()["errors"][0]["field"]) == (422, "config.dataset")
    async with guarded.client("tom") as client:
        assert (await client.get(f"/api/lora/status/{video.id}")).status_code == 200
        assert (await client.post(JOBS, json=body)).status_code == 201


async def test_a_socket_knows_no_job_of_others(guarded: Guarded) -> None:
    job = await guarded.api.create(user="ada", team=TEAM)
    await guarded.api.record(Reports(job.id).succeeded())
    async with serving(guarded.api.app(access="on")) as place:
        for who, word in (("bob", "job_not_found"), ("tess", "connected")):
            headers = {"Authorization": f"Bearer {guarded.keys[who]}"}
            async with connect(f"ws://{place}/ws/training/{job.id}", additional_headers=headers) as socket:
                assert word in str(await socket.recv())


async def test_the_stream_of_all_jobs_leaves_out_what_is_not_seen(guarded: Guarded, api: ApiPlatform) -> None:
    hidden, shown = await api.create(user="ada", team=TEAM), await api.create(user="bob", team="audio")
    await api.recorder.delete(hidden.id)
    context = api.app(access="on").state.context
    bob, tom = (Sight(user=user, teams=frozenset({team})) for user, team in (("bob", "audio"), ("tom", TEAM)))
    events = api.reader.events(0)
    assert {event.job_id for event in await SeenJobs(context, bob).events(events)} == {shown.id}
    assert {event.job_id for event in await SeenJobs(context, tom).events(events)} == {hidden.id}
    assert len(await SeenJobs(context, None).events(events)) == len(events)


async def make_model(guarded: Guarded, *, team: str | None) -> None:
    job = await trained(guarded.api, user="ada", team=team)
    async with guarded.client("ada") as ada:
        assert (await ada.post(f"{MODELS}/mira/versions", json={"job_id": job.id})).status_code == 201


async def test_models_follow_the_team_of_their_job(guarded: Guarded) -> None:
    await make_model(guarded, team=TEAM)
    mine = {"user": "ada"}
    async with guarded.client("tom") as tom:
        assert [row["name"] for row in (await tom.get(MODELS)).json()["models"]] == ["mira"]
        assert (await tom.get(f"{MODELS}/mira")).status_code == 404  # tom has none of this name
        assert (await tom.get(f"{MODELS}/mira", params=mine)).json()["team"] == TEAM
        assert (await tom.put(f"{MODELS}/mira/aliases/live", params=mine, json={"version": 1})).status_code == 200
    async with guarded.client("tess") as tess:
        assert (await tess.delete(f"{MODELS}/mira/aliases/live", params=mine)).status_code == 403
    async with guarded.client("bob") as bob:
        answers: list[httpx2.Response] = [
            await bob.get(f"{MODELS}/mira", params=mine),
            await bob.get(f"{MODELS}/mira/versions/1/model.safetensors", params=mine),
            await bob.delete(f"{MODELS}/mira/versions/1", params=mine),
            await bob.put(f"{MODELS}/mira/aliases/live", params=mine, json={"version": 1}),
        ]
        assert [answer.status_code for answer in answers] == [404] * 4
        assert (await bob.get(MODELS, params=mine)).json()["total"] == 0


async def test_an_open_model_is_looked_at_and_not_changed(guarded: Guarded) -> None:
    await make_model(guarded, team=None)
    async with guarded.client("bob") as bob:
        assert (await bob.get("/api/v1/models/mira", params={"user": "ada"})).status_code == 200
        refused = await bob.delete("/api/v1/models/mira/versions/1", params={"user": "ada"})
        assert refused.json()["code"] == "forbidden"
        assert (await bob.get("/api/v1/models")).json()["total"] == 0  # what is not asked for is one's own
