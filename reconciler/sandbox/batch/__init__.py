"""AWS Batch for the sandbox: a faithful service of our own, not a mock of the calls somebody expects.

Peculiar: nothing happens by itself. Each request first brings the account up to the clock, so a history is the same
however fast the clock runs and however seldom somebody asks.

`service` routes, `validate` holds requests to `shapes`, `store` keeps resources and their coming events; one module per
kind has the rules of that kind.
"""

from reconciler.sandbox.batch.messages import BatchError
from reconciler.sandbox.batch.service import Batch
from reconciler.sandbox.batch.settings import Outcome, Settings
from reconciler.sandbox.batch.surroundings import ProfileFacts, RoleFacts, Surroundings

__all__ = ["Batch", "BatchError", "Outcome", "ProfileFacts", "RoleFacts", "Settings", "Surroundings"]
