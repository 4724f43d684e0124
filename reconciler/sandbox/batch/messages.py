"""AWS Batch's refusals.

Every modelled error of the service is a ClientException or a ServerException: the message is what tells them apart.
Malformed requests come wrapped in `Error executing request, Exception : …, RequestId: …`, refusals by state do not.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/CommonErrors.html and messages quoted in public issues.
"""

from __future__ import annotations

ATTACH = "Compute Environments must be created and valid before attaching them to a job queue"
DELETE_BUSY = "Cannot delete, resource is being modified"
DELETE_RELATED = "Cannot delete, found existing JobQueue relationship"
UPDATE_BUSY = "Cannot update, resource is being modified"


class BatchError(Exception):
    """A call that AWS Batch refuses; `code` goes into the `x-amzn-ErrorType` header and the body's `__type`."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message


class Invalid(BatchError):
    """A request that breaks a rule of its own; the service wraps its text."""

    def __init__(self, text: str) -> None:
        super().__init__("ClientException", 400, text)


def refusal(text: str) -> BatchError:
    return BatchError("ClientException", 400, text)


def missing(arn: str) -> BatchError:
    return refusal(f"{arn} does not exist")


def exists(code: str) -> BatchError:
    return BatchError(code, 409 if code == "ConflictException" else 400, "Object already exists")


def delete_enabled(what: str) -> BatchError:
    return refusal(f"Cannot delete an enabled {what}, set the state to DISABLED first.")
