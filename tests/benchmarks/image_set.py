"""Seconds from POST to the last stored image of a set, and calls at the provider, beside a plain script.

    python -m tests.benchmarks.image_set [--rounds 3] [--count 200] [--speed 0.5] [--megapixels 0.25]

The provider is the simulator in a process of its own (`thornback simulate`). All pictures of a set are made
side by side, each in 0.9 s / speed: 1.8 s here, about what FLUX.1 [schnell] takes with its queue. Ours is a
whole platform (`thornback up`: Serve, recorder, dispatcher, tracker) that is called by webhooks and makes JPEG
of each picture; the clock stops when the client's event stream shows the last one stored. The plain script
(plain_image_set.py) is a process too, its start not counted. They take turns, and each waits until Replicate's
600 orders a minute have room again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.benchmarks import plain_image_set
from thornback.client import Client
from thornback.jobs.events import EventKind
from thornback.node.ports import next_free
from thornback.node.process import NodeProcess
from thornback.settings import Settings

MODEL = "black-forest-labs/flux-schnell"
APART_S = 31.0  # two sets a minute at most: 400 of the 600 orders; the next of the same kind meets a full allowance
ANSWER_S = 60.0


@dataclass(frozen=True, slots=True)
class Result:
    """One set."""

    seconds: float
    calls: Counter[str]  # at the provider, by operation
    marks: dict[str, float]  # seconds after the POST; ours only


class Provider:
    """The simulator's own API."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.url = environment["THORNBACK_REPLICATE_URL"]
        self.token = environment["THORNBACK_REPLICATE_API_TOKEN"]
        self._http = httpx2.Client(base_url=self.url, timeout=ANSWER_S, trust_env=False)
        self._seen = 0

    def new_calls(self) -> Counter[str]:
        """What came since the last question, by operation."""
        seen: list[dict[str, Any]] = self._http.get("/simulator/requests").json()
        new, self._seen = seen[self._seen :], len(seen)
        return Counter(call["operation"] for call in new)


@contextmanager
def simulator(speed: float) -> Iterator[Provider]:
    """`thornback simulate` in a process of its own."""
    port = str(next_free("127.0.0.1", 18099))
    words = [sys.executable, "-m", "thornback.cli.main", "simulate", "--port", port, "--speed", str(speed), "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield Provider(json.loads(process.stdout.readline())["environment"])
        finally:
            process.terminate()


@contextmanager
def platform(provider: Provider, folder: Path) -> Iterator[str]:
    """`thornback up`, set up for the simulator; the value is the API's address."""
    port = next_free("127.0.0.1", 18001)
    settings = Settings(
        home=folder / "home",
        port=port,
        dashboard_port=next_free("127.0.0.1", 18265),
        public_url=f"http://127.0.0.1:{port}",
        replicate_url=provider.url,
        replicate_api_token=provider.token,
        replicate_webhook_secrets=provider.environment["THORNBACK_REPLICATE_WEBHOOK_SECRETS"],
    )
    node = NodeProcess(settings)
    try:
        yield node.start(hold=True, on_phase=lambda phase: None).url
    finally:
        node.stop()


def ours(url: str, provider: Provider, count: int, megapixels: str) -> Result:
    """One set through the platform."""
    marks: dict[str, float] = {}
    stored: set[int] = set()
    with Client(url) as client:
        began = time.time()
        made = client.image_sets.create(
            "ada", prompt_template="{character}, picture {number}", count=count, inputs={"megapixels": megapixels}
        )
        marks["POST answered"] = time.time() - began
        for event in client.events(made.id, after=0):
            at = event.at.timestamp() - began
            if event.kind is EventKind.STARTED:
                marks["begun"] = at
            elif event.kind is EventKind.ITEM:
                marks[f"last {event.data['status']}"] = at
                stored |= {event.data["item"]} if event.data["status"] == "stored" else set()
            if len(stored) == count and "seen" not in marks:
                marks["seen"] = time.time() - began
        job = client.get(made.id)
    if len(stored) < count:
        raise RuntimeError(f"{len(stored)} of {count} images: {job.status}, {job.error_message}")
    return Result(marks["seen"], provider.new_calls(), marks)


def plain(provider: Provider, count: int, megapixels: str, folder: Path) -> Result:
    """One set through the plain script."""
    with tempfile.TemporaryDirectory(dir=folder) as images:
        words = [sys.executable, "-m", plain_image_set.__name__]
        given = [provider.url, provider.token, MODEL, str(count), megapixels, images]
        done = subprocess.run([*words, *given], stdout=subprocess.PIPE, text=True, check=True)
        if (saved := len(list(Path(images).iterdir()))) != count:
            raise RuntimeError(f"{saved} of {count} images")
    return Result(float(done.stdout), provider.new_calls(), {})


def show(name: str, result: Result) -> None:
    """One line."""
    calls = ", ".join(f"{count} {call.removeprefix('replicate.')}" for call, count in result.calls.most_common())
    load = os.getloadavg()[0]
    print(f"{name:10} {result.seconds:6.2f} s  {result.calls.total():5} calls ({calls})  load {load:.1f}", flush=True)


def tell(name: str, results: list[Result]) -> float:
    """The median."""
    seconds = statistics.median(result.seconds for result in results)
    calls = statistics.median(result.calls.total() for result in results)
    print(f"{name:10} {seconds:6.2f} s  {calls:5g} calls  median of {len(results)}")
    return seconds


def run(arguments: argparse.Namespace, folder: Path) -> None:
    """All rounds."""
    count, megapixels = arguments.count, arguments.megapixels
    results: dict[str, list[Result]] = {"plain": [], "platform": []}
    with simulator(arguments.speed) as provider, platform(provider, folder) as url:
        provider.new_calls()
        for number in range(2 * arguments.rounds):
            if number:
                time.sleep(APART_S)
            name = ("plain", "platform")[number % 2]
            if name == "plain":
                result = plain(provider, count, megapixels, folder)
            else:
                result = ours(url, provider, count, megapixels)
            results[name].append(result)
            show(name, result)
    for mark in results["platform"][0].marks:
        print(f"  {statistics.median(result.marks[mark] for result in results['platform']):6.2f} s  {mark}")
    medians = {name: tell(name, mine) for name, mine in results.items()}
    print(f"{count} images: platform / plain {medians['platform'] / medians['plain']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--speed", type=float, default=0.5)
    parser.add_argument(
        "--megapixels", default="0.25", help="1 makes drawing and packing the greater part on few cores"
    )
    arguments = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory() as folder:
        run(arguments, Path(folder))


if __name__ == "__main__":
    main()
