"""A driver that reports much in one go and then ends in the way that its last argument says."""

from __future__ import annotations

import sys
import threading

import ray

from thornback.jobs.events import Attempt
from thornback.metrics.capture import capture_output
from thornback.metrics.reporter import open_reporter

ROWS = 1500


def main() -> None:
    """Usage: reporting_process ADDRESS NAMESPACE JOB_ID exit|raise|thread|wait."""
    address, namespace, job_id, way = sys.argv[1:]
    ray.init(address=address, log_to_driver=False)
    reporter = open_reporter(job_id, attempt=Attempt(1), rank=-1, namespace=namespace)
    with capture_output(reporter):
        for n in range(ROWS):
            reporter.metrics(epoch=0, phase="train", batch=n, values={"train_loss": 1.0})
        print("the last words")
        if way == "thread":
            thread = threading.Thread(target=_fail)
            thread.start()
            thread.join()
        elif way == "raise":
            _fail()
        elif way == "wait":
            print("ready", file=sys.__stdout__, flush=True)
            threading.Event().wait(60)


def _fail() -> None:
    raise RuntimeError("it went wrong")


if __name__ == "__main__":
    main()
