"""A set of images as one scripts it: Replicate's client, a semaphore, polling as its documentation says, httpx, a folder.

    python -m tests.benchmarks.plain_image_set URL TOKEN MODEL COUNT MEGAPIXELS FOLDER

Nothing is written down on the way, nothing is tried again, and pictures stay what they are. Prints seconds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import httpx
from replicate.client import Client

AT_ONCE = 50
TIMEOUT = httpx.Timeout(60.0)


async def make(client: Client, model: str, count: int, megapixels: str, folder: Path) -> float:
    """Order all pictures, save each; seconds until the last one lies there."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def image(http: httpx.AsyncClient, number: int) -> None:
        inputs = {"prompt": f"ada, picture {number}", "seed": number, "num_outputs": 1, "megapixels": megapixels}
        async with turns:
            prediction = await client.predictions.async_create(model=model, input=inputs)
        await prediction.async_wait()  # looks every 0.5 s
        if prediction.status != "succeeded" or not prediction.output:
            raise RuntimeError(f"picture {number}: {prediction.status}, {prediction.error}")
        answer = (await http.get(prediction.output[0])).raise_for_status()
        (folder / f"ada_{number:03}.webp").write_bytes(answer.content)

    async with httpx.AsyncClient(timeout=TIMEOUT) as http:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(1, count + 1):
                tasks.create_task(image(http, number))
        return time.perf_counter() - began


def main() -> None:
    """Read the arguments, print the seconds."""
    url, token, model, count, megapixels, folder = sys.argv[1:]
    client = Client(api_token=token, base_url=url, timeout=TIMEOUT)
    print(asyncio.run(make(client, model, int(count), megapixels, Path(folder))))


if __name__ == "__main__":
    main()
