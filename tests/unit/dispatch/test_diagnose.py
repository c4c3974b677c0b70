"""Texts as Ray, torch and Python print them."""

from __future__ import annotations

import pytest

from thornback.dispatch.diagnose import diagnose
from thornback.jobs.status import FailureReason

EXIT_1 = "Job entrypoint command failed with exit code 1, last available logs (truncated to 20,000 chars):\n"

CUDA_OOM = """\
Traceback (most recent call last):
  File "/app/train_jobs/convnext/loop.py", line 88, in train
    loss.backward()
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.64 GiB of \
which 1.12 GiB is free.
"""

WRAPPED_OOM = """\
\x1b[36mray::_RayTrainWorker__execute.get_next()\x1b[39m (pid=1234, ip=10.0.0.7, actor_id=0a1b)
  File "/app/train_jobs/convnext/loop.py", line 88, in train
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 512.00 MiB.

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/train_jobs/convnext/__main__.py", line 20, in main
ray.train.v2.api.exceptions.WorkerGroupError: Training failed due to worker errors:
[Rank 0 Error Snippet]:
"""

PLAIN_EXCEPTION = """\
Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
  File "/app/train_jobs/convnext/data.py", line 12, in read
    raise FileNotFoundError(path)
FileNotFoundError: [Errno 2] No such file or directory: '/data/manifest.csv'
"""

RAY_TASK_ERROR = """\
Traceback (most recent call last):
  File "/app/x.py", line 3, in <module>
    ray.get(f.remote())
ray.exceptions.RayTaskError(KeyError): ray::f() (pid=77, ip=10.0.0.7)
  File "/app/x.py", line 2, in f
KeyError: 'label'
"""

TRAINING_FAILED = """\
(RayTrainWorker pid=81, ip=10.0.0.7) Setting up process group
Traceback (most recent call last):
  File "/app/train_jobs/convnext/loop.py", line 40, in step
RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x768 and 512x10)

During handling of the above exception, another exception occurred:

ray.train.v2.api.exceptions.TrainingFailedError: Training failed due to worker errors
"""

WORKER_DIED = """\
ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.
	class_name: RayTrainWorker
	actor_id: 5d7f
	pid: 4711
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker \
unexpectedly exits with a connection error code 2. End of file.
"""

UNAVAILABLE = """\
ray.exceptions.ActorUnavailableError: The actor df7401c494b7 is unavailable: The actor is temporarily unavailable: \
RpcError: RPC error: Socket closed rpc_code: 14.
"""

NODE_DIED = """\
ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.
The actor died because its node has died. Node Id: 9f2c. the node was terminated: health check failed
"""

HOST_OOM = """\
ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.
Memory on the node (IP: 10.0.0.7, ID: 77) where the task was running was 30.47GB / 32.00GB (0.952188)
"""

NODE_MESSAGE = (
    "Job supervisor actor died: The actor died unexpectedly before finishing this task.\n"
    "\tclass_name: JobSupervisor\n"
    "The actor died because its node has died. Node Id: 9f2c"
)


@pytest.mark.parametrize(
    ("log", "code", "message", "reason", "text"),
    [
        pytest.param(
            CUDA_OOM,
            1,
            EXIT_1 + CUDA_OOM,
            FailureReason.OUT_OF_MEMORY,
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.64 GiB of which 1.12 GiB "
            "is free.",
            id="CUDA",
        ),
        pytest.param(
            WRAPPED_OOM,
            1,
            EXIT_1,
            FailureReason.OUT_OF_MEMORY,
            "CUDA out of memory. Tried to allocate 512.00 MiB.",
            id="CUDA inside Ray Train",
        ),
        pytest.param(
            HOST_OOM,
            1,
            EXIT_1,
            FailureReason.OUT_OF_MEMORY,
            "Task was killed due to the node running low on memory.",
            id="host memory",
        ),
        pytest.param(
            PLAIN_EXCEPTION,
            1,
            EXIT_1,
            FailureReason.EXCEPTION,
            "FileNotFoundError: [Errno 2] No such file or directory: '/data/manifest.csv'",
            id="exception",
        ),
        pytest.param(
            "",
            1,
            EXIT_1 + PLAIN_EXCEPTION,
            FailureReason.EXCEPTION,
            "FileNotFoundError: [Errno 2] No such file or directory: '/data/manifest.csv'",
            id="exception, in the backend's message only",
        ),
        pytest.param(RAY_TASK_ERROR, 1, EXIT_1, FailureReason.EXCEPTION, "KeyError: 'label'", id="task error"),
        pytest.param(
            TRAINING_FAILED,
            1,
            EXIT_1,
            FailureReason.EXCEPTION,
            "RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x768 and 512x10)",
            id="inside TrainingFailedError",
        ),
        pytest.param(
            WORKER_DIED,
            1,
            EXIT_1,
            FailureReason.WORKER_LOST,
            "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: "
            "Worker unexpectedly exits with a connection error code 2. End of file.",
            id="worker",
        ),
        pytest.param(
            UNAVAILABLE,
            1,
            EXIT_1,
            FailureReason.WORKER_LOST,
            UNAVAILABLE.strip(),
            id="a worker whose node does not answer",
        ),
        pytest.param(
            NODE_DIED,
            1,
            EXIT_1,
            FailureReason.NODE_LOST,
            "The actor died because its node has died. Node Id: 9f2c. the node was terminated: health check failed",
            id="node of a worker",
        ),
        pytest.param(
            "epoch 3 of 10\n",
            None,
            NODE_MESSAGE,
            FailureReason.NODE_LOST,
            "The actor died because its node has died. Node Id: 9f2c",
            id="node of the driver",
        ),
        pytest.param(
            "epoch 3 of 10\n",
            None,
            "Unexpected error occurred: failed to get job supervisor.",
            FailureReason.DRIVER_LOST,
            "the driver's Ray job vanished; Ray says: Unexpected error occurred: failed to get job supervisor.",
            id="supervisor",
        ),
        pytest.param(
            "",
            None,
            "",
            FailureReason.DRIVER_LOST,
            "the driver's Ray job vanished and Ray has no record of how",
            id="nothing at all",
        ),
        pytest.param(
            "",
            None,
            "runtime_env setup failed: no space left on device",
            FailureReason.SUBMIT_FAILED,
            "runtime_env setup failed: no space left on device",
            id="not started",
        ),
        pytest.param(
            "epoch 3 of 10\n",
            -9,
            "Job entrypoint command failed with exit code -9",
            FailureReason.DRIVER_LOST,
            "the driver was killed (SIGKILL): by hand, or by the system because memory ran out",
            id="SIGKILL as Python says it",
        ),
        pytest.param(
            "Killed\n",
            137,
            "",
            FailureReason.DRIVER_LOST,
            "the driver was killed (SIGKILL): by hand, or by the system because memory ran out",
            id="SIGKILL as a shell says it",
        ),
        pytest.param(
            "", 143, "", FailureReason.DRIVER_LOST, "the driver was ended from outside (SIGTERM)", id="SIGTERM"
        ),
        pytest.param("", -11, "", FailureReason.DRIVER_LOST, "the driver crashed (SIGSEGV)", id="SIGSEGV"),
        pytest.param(
            "usage: train [-h]\ntrain: error: unrecognised argument\n",
            2,
            "",
            FailureReason.EXIT_CODE,
            "the driver ended with exit code 2; its last line: train: error: unrecognised argument",
            id="exit code",
        ),
        pytest.param(
            "",
            3,
            "Job entrypoint command failed with exit code 3. No logs available.",
            FailureReason.EXIT_CODE,
            "the driver ended with exit code 3 and printed nothing",
            id="exit code alone",
        ),
        pytest.param(
            "epoch 3 of 10\n",
            0,
            "",
            FailureReason.DRIVER_LOST,
            "the driver ended with exit code 0 and without reporting a result",
            id="no report",
        ),
    ],
)
def test_the_true_reason_is_found(log: str, code: int | None, message: str, reason: FailureReason, text: str) -> None:
    found = diagnose(log, code, message)

    assert (found.reason, found.message) == (reason, text)


def test_a_handled_exception_long_ago_is_not_the_reason_of_an_exit_code() -> None:
    assert diagnose("the dataset has no LabelError: fine\nall done\n", 4, "").reason is FailureReason.EXIT_CODE


def test_an_exception_that_only_mentions_a_worker_is_the_users_own() -> None:
    log = "worker died unexpectedly in the simulation, as it should\nValueError: negative loss\n"
    assert diagnose(log, 1, "").reason is FailureReason.EXCEPTION


def test_a_long_message_is_cut() -> None:
    assert len(diagnose("ValueError: " + "x" * 9000, 1, "").message) == 500
