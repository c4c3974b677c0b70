from __future__ import annotations

import pytest
from ray.exceptions import RayActorError
from ray.train.v2._internal.exceptions import (
    UserExceptionWithTraceback,
    WorkerGroupStartupTimeoutError,
    WorkerHealthCheckFailedError,
)
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

from thornback.errors import DataError, TrainingFailed, WeightsUnavailable
from thornback.jobs.status import FailureReason
from train_jobs.common.failures import classify


def user(error: BaseException) -> UserExceptionWithTraceback:
    return UserExceptionWithTraceback(error, "Traceback…")


def group(*failures: Exception) -> WorkerGroupError:
    return WorkerGroupError("some text", dict(enumerate(failures)))


DEAD = WorkerHealthCheckFailedError("failed", RayActorError(error_msg="The actor died unexpectedly before finishing"))
GLOO = user(RuntimeError("[../gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:4711"))
CUDA = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.69 GiB"


@pytest.mark.parametrize(
    ("error", "reason", "text"),
    [
        (group(user(ValueError("wrong shape"))), FailureReason.EXCEPTION, "ValueError: wrong shape"),
        (group(user(RuntimeError(CUDA))), FailureReason.OUT_OF_MEMORY, CUDA),
        (group(user(MemoryError())), FailureReason.OUT_OF_MEMORY, "MemoryError"),
        (group(DEAD), FailureReason.WORKER_LOST, "The actor died unexpectedly"),
        # the one who lives on only sees the connection break
        (group(GLOO, DEAD), FailureReason.WORKER_LOST, "The actor died unexpectedly"),
        (group(GLOO), FailureReason.WORKER_LOST, "Connection closed by peer"),
        (group(GLOO, user(KeyError("label"))), FailureReason.EXCEPTION, "KeyError: 'label'"),
        (group(GLOO, user(RuntimeError(CUDA)), DEAD), FailureReason.OUT_OF_MEMORY, CUDA),
        (
            group(WorkerHealthCheckFailedError("x", RayActorError(error_msg="its node has died: 10.0.0.7"))),
            FailureReason.NODE_LOST,
            "its node has died: 10.0.0.7",
        ),
        (
            group(WorkerHealthCheckFailedError("x", RayActorError(error_msg="node running low on memory"))),
            FailureReason.OUT_OF_MEMORY,
            "low on memory",
        ),
        (ControllerError(WorkerGroupStartupTimeoutError(4)), FailureReason.SUBMIT_FAILED, "4 workers"),
        (ControllerError(ValueError("bad storage")), FailureReason.EXCEPTION, "ValueError: bad storage"),
        (DataError.field("data", "there is nothing"), FailureReason.INVALID_DATA, "data: there is nothing"),
        (WeightsUnavailable("no weights"), FailureReason.WEIGHTS_UNAVAILABLE, "no weights"),
        (
            group(GLOO, user(TrainingFailed("diverged", reason="diverged", retryable=False))),
            FailureReason.DIVERGED,
            "diverged",
        ),
        (group(user(DataError.field("max_broken_share", "too many"))), FailureReason.INVALID_DATA, "too many"),
        (OSError("disk full"), FailureReason.EXCEPTION, "OSError: disk full"),
    ],
)
def test_the_true_reason_is_found(error: Exception, reason: FailureReason, text: str) -> None:
    failure = classify(error)
    assert failure.reason is reason
    assert text in failure.message
    assert failure.is_retryable == reason.is_retryable


def test_a_long_text_is_cut() -> None:
    assert len(classify(ValueError("x" * 10_000)).message) < 2100
