"""AWS Batch's refusals.

Every modelled error of the service is a ClientException or a ServerException: only the message distinguishes them.
Invalid requests are wrapped in `Error executing request, Exception : …, RequestId: …`, refusals by state are not.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/CommonErrors.html and messages quoted in public issues.
"""

from __future__ import annotations

ATTACH = "Compute Environments must be created and valid before attaching them to a job queue"
DELETE_BUSY = "Cannot delete, resource is being modified"
DELETE_RELATED = "Cannot delete, found existing JobQueue relationship"
UPDATE_BUSY = "Cannot update, resource is being modified"


class BatchError(Exception):
    """A call that AWS Batch refuses; `code` is sent in the `x-amzn-ErrorType` header and the body's `__type`."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message


class Invalid(BatchError):
    """An invalid request; the service wraps its text."""

    def __init__(self, text: str) -> None:
        super().__init__("ClientException", 400, text)


def refusal(text: str) -> BatchError:
    """A ClientException with this text."""
    return BatchError("ClientException", 400, text)


def missing(arn: str) -> BatchError:
    """The refusal of an ARN that does not exist."""
    return refusal(f"{arn} does not exist")


def exists(code: str) -> BatchError:
    """The refusal of a name that is in use."""
    return BatchError(code, 409 if code == "ConflictException" else 400, "Object already exists")


def delete_enabled(what: str) -> BatchError:
    """The refusal to delete a resource that is ENABLED."""
    return refusal(f"Cannot delete an enabled {what}, set the state to DISABLED first.")
