"""The pure modules of the form: schemas, values, drafts, starts, commands and ZIPs."""

from __future__ import annotations

import asyncio
import io
import json
import shlex
import socket
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from playwright.async_api import Browser, Page

from serve_apps.api.console import CONSOLE
from tests.browser.test_modules import ask
from thornback.jobs.spec import SPECS, parse_spec


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page that can import the console's modules; nothing behind it."""
    app = FastAPI()
    app.mount("/", StaticFiles(directory=CONSOLE))
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(_serving(app))
        context = await browser.new_context()
        stack.push_async_callback(context.close)
        page = await context.new_page()
        await page.goto(f"http://{host}/icon.svg")
        yield page


@asynccontextmanager
async def _serving(app: FastAPI) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server._serve([listening]))
        yield "{}:{}".format(*listening.getsockname())
        server.should_exit = True
        await task


async def fields(page: Page, kind: str, backend: str) -> Any:
    spec = SPECS[kind, backend].model_json_schema()
    return await ask(page, "form/schema.js", "return m.fieldsOf(a[0], { without: ['kind', 'backend'] })", spec)


def member(group: Any, *names: str) -> Any:
    for name in names:
        group = next(field for field in group["fields"] if field["name"] == name)
    return group


def shape(field: Any, *names: str) -> dict[str, Any]:
    return {name: field.get(name) for name in names}


OF_ANY_SHAPE = {"sweep": ("trial", "space", "scheduler")}
"""What is a training of any kind itself, or one of several shapes, is written as JSON."""


async def test_every_specification_becomes_fields_without_a_single_guess(page: Page) -> None:
    for kind, backend in SPECS:
        waiting = [await fields(page, kind, backend)]
        seen = 0
        while waiting:
            field = waiting.pop()
            seen += 1
            waiting += field.get("fields", [])
            assert field["type"] != "json" or field["name"] in OF_ANY_SHAPE.get(kind, ()), field
        assert seen > 15, kind


async def test_shapes(page: Page) -> None:
    own = await fields(page, "lora", "ray")
    config = member(own, "config")
    assert (config["type"], config["required"]) == ("group", True)
    family = member(config, "family")
    assert (family["type"], family["options"][-1], family["default"]) == ("choice", "auto", "auto")
    shift = member(config, "timestep_shift")
    assert shape(shift, "type", "words", "isInteger") == {"type": "number", "words": ["auto"], "isInteger": False}
    gamma = member(config, "min_snr_gamma")
    assert shape(gamma, "type", "nullable", "above", "max") == {
        "type": "number",
        "nullable": True,
        "above": 0,
        "max": 100,
    }
    assert shape(member(config, "resolution")["item"], "type", "min") == {"type": "number", "min": 64}
    assert (member(config, "base_model")["required"], member(config, "rank")["required"]) == (True, False)
    assert member(config, "compile")["type"] == "switch"
    images = await fields(page, "image_set", "fal")
    assert member(images, "config", "variables")["item"]["type"] == "list"
    assert member(images, "config", "inputs")["item"]["type"] == "json"
    video = await fields(page, "video_lora", "fal")
    assert member(video, "config", "frames", "quality")["default"] == 95
    assert member(video, "config", "frames")["help"] == ""  # the class describes itself, not the field
    takes = await ask(
        page, "form/schema.js", "return a.map((field) => m.takesUpload(field))",
        member(config, "dataset"), member(video, "config", "video_url"), member(config, "base_model"),
    )  # fmt: skip
    assert takes == [True, True, False]


@pytest.mark.parametrize(
    ("kind", "backend", "raw", "body", "codes"),
    [
        ("convnext", "ray", {}, {}, {"job_name": "required"}),
        ("convnext", "ray", {"job_name": "a"}, {"job_name": "a"}, {}),
        ("lora", "fal", {"job_name": "a"}, {"job_name": "a", "config": {}}, {"config.dataset": "required"}),
        (
            "convnext",
            "ray",
            {"job_name": "a", "config": {"epochs": "12", "learning_rate": "1e-3", "pretrained": False}},
            {"job_name": "a", "config": {"epochs": 12, "learning_rate": 0.001, "pretrained": False}},
            {},
        ),
        (
            "convnext",
            "ray",
            {"job_name": "x" * 256, "config": {"epochs": "0", "batch_size": "1.5", "learning_rate": "0", "seed": "x"}},
            None,
            {
                "job_name": "long",
                "config.epochs": "range",
                "config.batch_size": "integer",
                "config.learning_rate": "range",
                "config.seed": "number",
            },
        ),
        (
            "lora",
            "ray",
            {
                "job_name": "a",
                "tags": [["team", "x"], ["", ""], ["empty", ""]],
                "config": {
                    "base_model": "m",
                    "dataset": "d",
                    "min_snr_gamma": None,
                    "timestep_shift": "auto",
                    "resolution": ["512", ""],
                    "sample_prompts": ["one", "", "two"],
                },
            },
            {
                "job_name": "a",
                "tags": {"team": "x", "empty": ""},
                "config": {
                    "base_model": "m",
                    "dataset": "d",
                    "min_snr_gamma": None,
                    "timestep_shift": "auto",
                    "resolution": [512],
                    "sample_prompts": ["one", "two"],
                },
            },
            {},
        ),
        (
            "lora",
            "ray",
            {"job_name": "a", "config": {"base_model": "m", "dataset": "d", "timestep_shift": "car", "resolution": []}},
            None,
            {"config.timestep_shift": "numberOr", "config.resolution": "few"},
        ),
        (
            "image_set",
            "fal",
            {
                "job_name": "a",
                "config": {
                    "character": "ada",
                    "prompts": ["x"],
                    "variables": [["view", ["front", ""]]],
                    "inputs": [["go_fast", "true"], ["note", "hello"], ["n", "3"], ["list", "[1]"]],
                },
            },
            {
                "job_name": "a",
                "config": {
                    "character": "ada",
                    "prompts": ["x"],
                    "variables": {"view": ["front"]},
                    "inputs": {"go_fast": True, "note": "hello", "n": 3, "list": [1]},
                },
            },
            {},
        ),
        (
            "image_set",
            "fal",
            {
                "job_name": "a",
                "config": {
                    "character": "a",
                    "aspect_ratio": "wide",
                    "inputs": [["a", "[1"], ["", "x"], ["b", "1"], ["b", "2"]],
                },
            },
            None,
            {
                "config.aspect_ratio": "pattern",
                "config.inputs.0": "json",
                "config.inputs.1": "unnamed",
                "config.inputs.3": "twice",
            },
        ),
    ],
)  # fmt: skip
async def test_what_is_typed_becomes_what_is_sent(
    page: Page, kind: str, backend: str, raw: Any, body: Any, codes: dict[str, str]
) -> None:
    root = await fields(page, kind, backend)
    read = await ask(page, "form/values.js", "return m.readForm(a[0], a[1])", root, raw)
    assert {".".join(map(str, told["path"])): told["code"] for told in read["problems"] if told["code"]} == codes
    if body is not None:
        assert read["body"] == body
    if not codes:
        parse_spec({"kind": kind, "backend": backend, **read["body"]})


EXAMPLES: list[dict[str, Any]] = [
    {
        "job_name": "a",
        "kind": "convnext",
        "backend": "ray",
        "tags": {"a": "b"},
        "config": {"epochs": 3, "amp": False, "clip_seconds": 2.5},
    },
    {
        "job_name": "a",
        "kind": "lora",
        "backend": "ray",
        "priority": 5,
        "config": {
            "base_model": "m",
            "dataset": "d",
            "resolution": [64],
            "min_snr_gamma": None,
            "timestep_shift": "auto",
            "targets": ["q", "k"],
        },
    },
    {
        "job_name": "a",
        "kind": "image_set",
        "backend": "fal",
        "config": {
            "character": "ada",
            "prompt_template": "{character} {v}",
            "variables": {"v": ["1", "2"]},
            "count": 2,
            "inputs": {"a": "true", "b": True, "c": None, "d": {"e": [1]}},
        },
    },
    {
        "job_name": "a",
        "kind": "video_lora",
        "backend": "replicate",
        "config": {
            "video_url": "https://x.example/v.mp4",
            "trigger_word": "TOK",
            "destination": "a/b",
            "review": True,
            "frames": {"quality": 80},
            "captions": {"template": "x [trigger]"},
        },
    },
]


@pytest.mark.parametrize("body", EXAMPLES, ids=lambda body: str(body["kind"]))
async def test_a_job_fills_a_form_that_makes_the_same_job(page: Page, body: dict[str, Any]) -> None:
    """What a job was completed with by the server is told from what somebody set: defaults stay empty."""
    whole = parse_spec(body).model_dump(mode="json")
    root = await fields(page, body["kind"], body["backend"])
    raw, again = await ask(
        page, "form/values.js", "const raw = m.rawOf(a[0], a[1]); return [raw, m.readForm(a[0], raw).body]", root, whole
    )
    chosen = {"kind": body["kind"], "backend": body["backend"]}
    assert {**again, **chosen} == body
    assert set(raw["config"]) == set(body["config"])


async def test_complaints_find_their_field(page: Page) -> None:
    root = await fields(page, "lora", "ray")
    errors = [
        {"field": "config.epochs", "message": "a"},
        {"field": "config.timestep_shift.float", "message": "b"},
        {"field": "config.timestep_shift.literal['auto']", "message": "c"},
        {"field": "config", "message": "d"},
        {"field": "config.resolution.1", "message": "e"},
        {"field": "body", "message": "f"},
        {"field": "backend", "message": "g"},
    ]
    found = await ask(page, "form/values.js", "return Object.fromEntries(m.complaints(a[0], a[1]))", root, errors)
    assert found == {
        "config.epochs": "a",
        "config.timestep_shift": "b; c",
        "config": "d",
        "config.resolution": "2: e",
        "": "f; g",
    }


STARTING = """
const drafts = await import('/form/draft.js');
const store = new Map();
const storage = {
  getItem: (k) => store.get(k) ?? null,
  setItem: (k, v) => store.set(k, v),
  removeItem: (k) => store.delete(k),
};
const d = new drafts.Drafts(storage);
d.write({ kind: "lora" });
const calls = [];
let answers = [];
const create = async (text, key) => {
  calls.push([text, key]);
  const answer = answers.shift();
  if (typeof answer === "number") throw Object.assign(new Error("no"), { status: answer });
  return answer;
};
let keys = 0;
const options = { drafts: d, create, newKey: () => `key-${++keys}` };
const go = (body, now = 0) => m.start({ ...options, body, now });
const again = (now) => m.resume({ ...options, now });
"""


async def starting(page: Page, body: str) -> Any:
    return await ask(page, "form/starting.js", STARTING + body)


async def test_sign_in_and_start_makes_one_job(page: Page) -> None:
    outcome = await starting(
        page,
        """
        answers = [401, 401, { id: "j" }];
        const first = await go({ a: 1 });
        const second = await again(1000);  // a reload before anybody signed in
        const third = await again(2000);
        const fourth = await again(3000);
        return [first, second, third, fourth, calls, d.read()];
        """,
    )
    first, second, third, fourth, calls, draft = outcome
    assert [first["is"], second["is"], third["is"], fourth] == ["signIn", "signIn", "started", None]
    assert calls == [['{"a":1}', "key-1"]] * 3
    assert draft is None


async def test_a_lost_answer_keeps_its_key_and_another_body_gets_another(page: Page) -> None:
    calls, is_intended = await starting(
        page,
        """
        answers = [0, 503, 0, { id: "j" }];
        await go({ a: 1 });
        await go({ a: 1 });
        await go({ a: 2 });
        const left = await again(10);   // it was told that it failed: nothing starts behind its back
        await go({ a: 2 });
        return [calls, left];
        """,
    )
    assert [key for _, key in calls] == ["key-1", "key-1", "key-2", "key-2"]
    assert is_intended is None


async def test_nothing_starts_long_after_it_was_asked_for(page: Page) -> None:
    late, soon = await starting(
        page,
        """
        answers = [401, { id: "j" }];
        await go({ a: 1 });
        return [await again(drafts.INTENT_MS), await again(drafts.INTENT_MS - 1)];
        """,
    )
    assert (late, soon["is"]) == (None, "started")


async def test_a_draft_that_was_put_aside_comes_back(page: Page) -> None:
    found = await starting(
        page,
        """
        d.setAside();
        const between = d.read();
        d.write({ kind: "convnext" });
        d.bringBack();
        store.set("other", "x");
        const back = d.read();
        storage.setItem("thornback.draft", "{broken");
        return [between, back.kind, d.read()];
        """,
    )
    assert found == [None, "lora", None]


NASTY = {
    "job_name": 'it\'s "quoted" `x` $HOME \\n \n % é😀',
    "config": {"epochs": 3, "pretrained": False, "data": None},
}


async def snippet(page: Page, name: str, url: str, body: Any) -> str:
    text: str = await ask(page, "form/snippets.js", "return m.SNIPPETS[a[0]](a[1], a[2])", name, url, body)
    return text


async def test_the_shell_reads_what_was_meant(page: Page) -> None:
    text = await snippet(page, "curl", "http://host:1/prefix/", NASTY)
    words = shlex.split(text.replace("\\\n", ""))
    assert words[:4] == ["curl", "-X", "POST", "http://host:1/prefix/api/v1/training/jobs"]
    assert json.loads(words[-1]) == NASTY


async def test_python_reads_what_was_meant(page: Page) -> None:
    text = await snippet(
        page, "python", "http://host:1/prefix/", {**NASTY, "more": [], "none": {}, "list": [1, 1e-7, [True]]}
    )
    code = text.replace("from thornback.client import Client", "")
    script = (
        "import json\nclass Client:\n    def __init__(self, url): self.url = url\n"
        "    def __enter__(self): return self\n    def __exit__(self, *_): pass\n"
        "    def submit_spec(self, spec):\n        print(json.dumps([self.url, spec])); self.id = ''; return self\n"
        + code
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    url, spec = json.loads(out.splitlines()[0])
    assert url == "http://host:1/prefix"
    assert spec == {**NASTY, "more": [], "none": {}, "list": [1, 1e-7, [True]]}


PACK = """
const files = a[0].map(([name, text]) => new File([text], name, { lastModified: 7 }));
const bytes = async (file) => [...new Uint8Array(await file.arrayBuffer())];
"""


async def test_pictures_become_a_zip(page: Page) -> None:
    names = [["b.png", "picture b"], ["a ü.jpg", "picture a"], ["a ü.txt", "TOK"], [".DS_Store", "x"]]
    body = """
        const one = await m.packed(files);
        const two = await m.packed(files.reverse());
        return [one.name, await bytes(one), await bytes(two)];
    """
    name, one, two = await ask(page, "form/pack.js", PACK + body, names)
    assert (name, one == two) == ("2-pictures.zip", True)
    with zipfile.ZipFile(io.BytesIO(bytes(one))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a ü.jpg", "a ü.txt", "b.png"]
        assert archive.read("a ü.jpg") == b"picture a"


@pytest.mark.parametrize(
    ("names", "code"),
    [(["a.png", "b.mp4"], "mixed"), (["a.txt", "b.txt"], "noPicture"), ([".hidden"], "nothing")],
)
async def test_files_that_do_not_go_together(page: Page, names: list[str], code: str) -> None:
    body = PACK + "try { await m.packed(files); return null } catch (error) { return error.code }"
    assert await ask(page, "form/pack.js", body, [[name, "x"] for name in names]) == code


async def test_one_file_goes_as_it_is(page: Page) -> None:
    body = PACK + "return (await m.packed(files)) === files[0]"
    assert await ask(page, "form/pack.js", body, [["clip.mp4", "x"]])
