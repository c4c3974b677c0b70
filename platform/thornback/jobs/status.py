"""Job statuses and the facts about them."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job stands. The values are what the API shows."""

    QUEUED = "queued"  # accepted; will start when its turn comes, or is being launched
    PENDING = "pending"  # its turn came, but the resources it needs are not free; `reason` says which
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """True where nothing can change the status any more."""
        return self in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)

    @property
    def is_waiting(self) -> bool:
        """True where the job holds no resources."""
        return self in (JobStatus.QUEUED, JobStatus.PENDING)


class FailureReason(StrEnum):
    """Why a job failed; each says whether trying again could help."""

    INVALID_DATA = "invalid_data"
    WEIGHTS_UNAVAILABLE = "weights_unavailable"
    IMPOSSIBLE_RESOURCES = "impossible_resources"  # the cluster can never hold it
    OUT_OF_MEMORY = "out_of_memory"  # CUDA or host, as reported by the framework
    DIVERGED = "diverged"  # the loss became NaN or infinite
    EXCEPTION = "exception"  # the training code raised
    EXIT_CODE = "exit_code"  # the driver ended with a code and no report
    WORKER_LOST = "worker_lost"  # a worker process died
    NODE_LOST = "node_lost"  # a machine left the cluster
    DRIVER_LOST = "driver_lost"  # the driver or its Ray job vanished
    SUBMIT_FAILED = "submit_failed"  # Ray did not take the job
    PROVIDER_REFUSED = "provider_refused"  # a hosted trainer did not take the order: input, key, credit
    PROVIDER_FAILED = "provider_failed"  # it took the order, and its run failed
    PROVIDER_LOST = "provider_lost"  # it no longer knows the order, or never finished it
    OUTPUT_LOST = "output_lost"  # it finished, but its files could not be fetched
    PROVIDER_CANCELLED = "provider_cancelled"  # somebody ended it at the provider
    QUOTA_REACHED = "quota_reached"  # it took longer than was set aside for it, and nobody may have more
    MOVED = "moved"  # it left its machines by itself, with a checkpoint; never how a job ends
    PART_CANCELLED = "part_cancelled"  # a job that is a part of it was cancelled or deleted

    @property
    def is_retryable(self) -> bool:
        """True for losses of the infrastructure, where the last checkpoint can be taken up again."""
        return self in (
            FailureReason.WORKER_LOST,
            FailureReason.NODE_LOST,
            FailureReason.DRIVER_LOST,
            FailureReason.SUBMIT_FAILED,
        )
