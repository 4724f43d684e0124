"""AWS Batch for the sandbox: a service of our own that behaves as AWS documents, not a mock of expected calls.

Nothing happens in the background: each request first brings the account up to the clock, so a history is the same
whatever the speed of the clock and the number of requests.

`service` routes, `validate` checks requests against `shapes`, `store` keeps resources and their future events; one
module per kind has the rules of that kind.
"""

from reconciler.sandbox.batch.messages import BatchError
from reconciler.sandbox.batch.service import Batch
from reconciler.sandbox.batch.settings import Outcome, Settings
from reconciler.sandbox.batch.surroundings import ProfileFacts, RoleFacts, Surroundings

__all__ = ["Batch", "BatchError", "Outcome", "ProfileFacts", "RoleFacts", "Settings", "Surroundings"]
