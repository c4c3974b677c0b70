"""Every error that Thornback raises on purpose.

An error carries a stable `code` (for programs), a `message` (one sentence for people, which says
what to do) and `details` (JSON-ready facts). It knows nothing of HTTP: the API holds the only table
from code to status. Exceptions whose `__init__` takes other arguments than their message break when
they are unpickled on the far side of an actor call; `__reduce__` solves that here for the whole tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self


class ThornbackError(Exception):
    """Base of the tree. Catch it to catch everything that Thornback reports on purpose."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.details)

    @classmethod
    def rebuild(cls, message: str, details: Mapping[str, Any]) -> Self:
        """Make the error again from what `__reduce__` kept."""
        error = cls.__new__(cls)
        ThornbackError.__init__(error, message, **details)
        return error


def _rebuild(kind: type[ThornbackError], message: str, details: Mapping[str, Any]) -> ThornbackError:
    return kind.rebuild(message, details)


class InvalidInput(ThornbackError):
    """The caller sent something that cannot be used; `details["errors"]` names each field."""

    code = "invalid_input"

    @classmethod
    def field(cls, name: str, problem: str) -> Self:
        """One field and what to do about it."""
        return cls(f"{name}: {problem}", errors=[{"field": name, "message": problem}])


class SettingsError(InvalidInput):
    """A setting (environment variable or config file) has a value that cannot work."""

    code = "invalid_settings"


class NotFound(ThornbackError):
    """There is no such thing, or it has been deleted."""

    code = "not_found"


class JobNotFound(NotFound):
    """No job has this id."""

    code = "job_not_found"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id}", job_id=job_id)


class Conflict(ThornbackError):
    """The request contradicts the present state."""

    code = "conflict"


class JobIsFinal(Conflict):
    """The job has ended, so this can no longer be done to it."""

    code = "job_is_final"


class JobIsActive(Conflict):
    """The job has not ended yet, so this cannot be done to it."""

    code = "job_is_active"


class IdempotencyConflict(Conflict):
    """An Idempotency-Key came again with another body."""

    code = "idempotency_conflict"


class DataError(InvalidInput):
    """A dataset cannot be trained on: missing, empty, one class, broken manifest, too many bad files."""

    code = "invalid_data"


class WeightsUnavailable(ThornbackError):
    """Pretrained weights can neither be read from a file nor fetched."""

    code = "weights_unavailable"


class TrainingFailed(ThornbackError):
    """A training run ended in an error; `details` has `reason` (a FailureReason) and `retryable`."""

    code = "training_failed"


class TrainingStopped(ThornbackError):
    """A training run stopped because it was asked to; not a failure."""

    code = "training_stopped"


class BackendError(ThornbackError):
    """Ray (or a provider) refused or lost a call."""

    code = "backend_error"


class ProviderError(BackendError):
    """A hosted trainer answered with an error; `details` has `provider`, `status` and the provider's own `text`."""

    code = "provider_error"


class ProviderRefused(ProviderError):
    """It will not take this order, now or later: input, key, credit or a model that is not there."""

    code = "provider_refused"


class OrderUnknown(ProviderError):
    """It knows no order with this id, or knows it no longer."""

    code = "order_unknown"


class AnswerLost(ProviderError):
    """The answer to an order was lost: the provider may have taken it or not. Look before sending again."""

    code = "answer_lost"


class FetchFailed(ThornbackError):
    """A file on the web cannot be had: refused, too large, of another type. `details["url"]` is without secrets."""

    code = "fetch_failed"


class AddressRefused(FetchFailed):
    """An address that may not be reached: private, of another scheme or port, or written to deceive."""

    code = "address_refused"


class OutputGone(FetchFailed):
    """The file is there no longer; hosted trainers delete their results after about an hour."""

    code = "output_gone"


class SignatureInvalid(ThornbackError):
    """A webhook is unsigned, signed with another key, altered or too old."""

    code = "signature_invalid"


class LinkRefused(ThornbackError):
    """A link to a file is not one of ours, or has been altered."""

    code = "link_refused"


class LinkExpired(LinkRefused):
    """A link to a file was good and holds no longer."""

    code = "link_expired"


class NotSignedIn(ThornbackError):
    """Nobody says who they are, or not rightly."""

    code = "not_signed_in"


class Forbidden(ThornbackError):
    """Whoever asks may not do this."""

    code = "forbidden"


class TooManyTries(ThornbackError):
    """Too often in a short time; `details["retry_after_s"]` says when to come back."""

    code = "too_many_tries"


class TooManyRequests(ThornbackError):
    """More requests than this key or address may send; `details["retry_after_s"]` says when to come back."""

    code = "too_many_requests"


class QuotaExceeded(ThornbackError):
    """A user or a team would have more than they may; `details` name the quota, used, limit and who can lift it."""

    code = "quota_exceeded"


class SpendExceeded(QuotaExceeded):
    """The same, of money."""

    code = "spend_exceeded"


class BudgetSpent(SpendExceeded):
    """What is left of a sweep's own budget does not cover another trial; `details` have `left` and `wanted` in USD."""

    code = "budget_spent"


class Unavailable(ThornbackError):
    """Something that Thornback needs (database, actor, Ray) is away; trying again later may work."""

    code = "unavailable"


class ProviderUnavailable(Unavailable):
    """A provider does not answer, limits us (`details["retry_after_s"]`), or its breaker is open."""

    code = "provider_unavailable"


class StorageUnavailable(Unavailable, OSError):
    """The storage of files does not answer or refuses; an OSError too, as a broken disk raises one."""

    code = "storage_unavailable"


class StoreUnavailable(Unavailable):
    """The database does not answer or cannot be written."""

    code = "store_unavailable"


class UploadLocked(ThornbackError):
    """Another request writes into this upload now."""

    code = "upload_locked"


class UploadGone(NotFound):
    """The upload was not finished in time and its bytes were removed."""

    code = "upload_gone"


class ChecksumMismatch(ThornbackError):
    """The bytes are not those that the sender took the checksum of."""

    code = "checksum_mismatch"


class StorageFull(ThornbackError):
    """There is no room for so many bytes."""

    code = "storage_full"


def class_of_code(code: object) -> type[ThornbackError] | None:
    """The class that carries a code, as problem+json names it; None for a code of no class imported here."""
    waiting: list[type[ThornbackError]] = [ThornbackError]
    while waiting:
        kind = waiting.pop(0)  # parents first: a child without a code of its own shares theirs
        if kind.code == code:
            return kind
        waiting.extend(kind.__subclasses__())
    return None
