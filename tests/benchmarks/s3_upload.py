"""2 GB in 500 objects to S3 (moto's server, in a process of its own), beside the AWS CLI; then over a bad network.

    python -m venv /tmp/awscli && /tmp/awscli/bin/pip install awscli
    python -m tests.benchmarks.s3_upload --aws /tmp/awscli/bin/aws [--files 500] [--megabytes 4] [--rounds 3]
        [--folder /tmp] [--share 0.2]

Both upload the same folder into an empty prefix, in turns, each as a command of its own, start-up included.
Counted: wall seconds, and the CPU seconds of the command. Then a fifth of all requests fails in a proxy before the
server: refused with 503, cut within the request or the answer, or done with the answer lost; the CLI takes that on
as well, with as many attempts as ours. Every object is read back after each upload and compared by its SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from tests.fixtures.fault_proxy import fault_proxy, share
from tests.fixtures.s3 import KEY, SECRET, S3Server
from thornback.artifacts.files import join, locate
from thornback.artifacts.s3_store import ATTEMPTS

PUT = """
import sys
from pathlib import Path
from thornback.artifacts.transfer import upload_tree

upload_tree(Path(sys.argv[1]), sys.argv[2])
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One upload."""

    code: int
    wall_s: float
    cpu_s: float
    objects: int
    corrupt: int  # there, and not what was sent


def serve(sender: Connection) -> None:
    """The server's process; it ends when it is terminated."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    sender.send(f"http://{host}:{port}")
    threading.Event().wait()


@contextmanager
def server() -> Iterator[S3Server]:
    """A server that runs."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=serve, args=(sender,))
    process.start()
    try:
        yield S3Server(receiver.recv())
    finally:
        process.terminate()
        process.join()


def make_files(folder: Path, count: int, size: int) -> dict[str, str]:
    """Random files in folders of a hundred; SHA-256 by path."""
    sums = {}
    for number in range(count):
        path = folder / f"{number // 100}" / f"{number:04d}.bin"
        path.parent.mkdir(exist_ok=True)
        content = os.urandom(size)
        path.write_bytes(content)
        sums[path.relative_to(folder).as_posix()] = hashlib.sha256(content).hexdigest()
    return sums


def timed(command: list[str], environment: Mapping[str, str]) -> tuple[int, float, float]:
    """Exit code, wall and CPU seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    code = subprocess.run(command, env={**os.environ, **environment}, check=False).returncode
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return code, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours(folder: Path, s3: S3Server, bucket: str) -> tuple[int, float, float]:
    """By upload_tree."""
    return timed([sys.executable, "-c", PUT, str(folder), s3.uri(bucket, "base")], {})


def by_cli(aws: str, folder: Path, s3: S3Server, bucket: str) -> tuple[int, float, float]:
    """By `aws s3 cp --recursive`."""
    words = [aws, "--endpoint-url", s3.endpoint, "s3", "cp", "--recursive", "--only-show-errors"]
    environment = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_RETRY_MODE": "standard",
        "AWS_MAX_ATTEMPTS": str(ATTEMPTS),
    }
    return timed([*words, str(folder), f"s3://{bucket}/base"], environment)


def judged(cost: tuple[int, float, float], s3: S3Server, bucket: str, sums: Mapping[str, str]) -> Run:
    """What arrived; it is deleted then."""
    uri = s3.uri(bucket, "base")

    def is_right(path: str) -> bool:
        return hashlib.sha256(locate(join(uri, path)).read_bytes()).hexdigest() == sums.get(path)

    with ThreadPoolExecutor(4) as pool:
        right = list(pool.map(is_right, [entry.path for entry in locate(uri).files()]))
    locate(uri).delete_tree()
    code, wall, cpu = cost
    return Run(code=code, wall_s=wall, cpu_s=cpu, objects=len(right), corrupt=right.count(False))


def show(name: str, runs: list[Run], megabytes: float) -> None:
    """One line."""
    walls = " ".join(f"{run.wall_s:.1f}" for run in runs)
    wall, cpu = median(run.wall_s for run in runs), median(run.cpu_s for run in runs)
    objects, corrupt = [run.objects for run in runs], [run.corrupt for run in runs]
    codes = [run.code for run in runs]
    text = f"wall {wall:6.1f} s ({walls})   {megabytes / wall:6.0f} MB/s   CPU {cpu:6.1f} s"
    print(f"{name:22} {text}   exit {codes}   objects {objects}   corrupt {corrupt}", flush=True)


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aws", help="the AWS CLI; left out: ours alone")
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--megabytes", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="for the files")
    parser.add_argument("--share", type=float, default=0.2, help="of requests that fail")
    args = parser.parse_args()
    size = int(args.megabytes * 1e6)
    total = args.files * size / 1e6
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="s3-upload-") as name, server() as s3:
        folder = Path(name)
        sums = make_files(folder, args.files, size)
        bucket = s3.make_bucket()
        print(f"{args.files} objects, {total:.0f} MB, {args.rounds} rounds, medians")
        found: dict[str, list[Run]] = {"ours": [], "AWS CLI": []}
        for _ in range(args.rounds):
            found["ours"].append(judged(ours(folder, s3, bucket), s3, bucket, sums))
            if args.aws:
                found["AWS CLI"].append(judged(by_cli(args.aws, folder, s3, bucket), s3, bucket, sums))
        for who, runs in found.items():
            if runs:
                show(who, runs, total)
        for who in ("ours", *(("AWS CLI",) if args.aws else ())):
            with fault_proxy(s3.endpoint, share(args.share)) as proxy:
                bad = S3Server(proxy.endpoint)
                cost = ours(folder, bad, bucket) if who == "ours" else by_cli(args.aws, folder, bad, bucket)
                faults = {fault.value: count for fault, count in sorted(proxy.faults.items())}
            show(f"{who}, faults", [judged(cost, s3, bucket, sums)], total)
            print(f"{'':22} {sum(faults.values())} of {proxy.requests} requests failed: {faults}", flush=True)


if __name__ == "__main__":
    main()
