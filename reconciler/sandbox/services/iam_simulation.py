"""IAM's policy simulator, which the part of the sandbox that enforces policies answers.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json

RULES = Rules("iam")


@RULES.before("SimulatePrincipalPolicy", "SimulateCustomPolicy")
def policies_are_simulated(call: ServiceCall) -> Json:
    """Moto has no simulator."""
    return call.account.simulate(call.operation, call.params, call.region)
