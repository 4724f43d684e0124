"""SSM: the public parameters that name the recommended machine images.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/retrieve-ecs-optimized_AMI.html
"""

from __future__ import annotations

import json

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json

RULES = Rules("ssm")

_PUBLIC = "/aws/service/"


@RULES.after("GetParameter")
def public_parameters_have_no_account(call: ServiceCall, result: Json) -> None:
    """GetParameter returns a public parameter as AWS does."""
    _public(call, result["Parameter"])


@RULES.after("GetParameters", "GetParametersByPath")
def listed_public_parameters_have_no_account(call: ServiceCall, result: Json) -> None:
    """So do the calls that return several."""
    for parameter in result.get("Parameters", ()):
        _public(call, parameter)


def _public(call: ServiceCall, parameter: Json) -> None:
    """The value is text, JSON for a description; the ARN has no account."""
    if parameter["Name"].startswith(_PUBLIC):
        parameter["ARN"] = f"arn:{call.partition}:ssm:{call.region}::parameter{parameter['Name']}"
        value = parameter.get("Value")
        if isinstance(value, dict):
            parameter["Value"] = json.dumps(value)
        elif isinstance(value, str) and value.startswith("{'"):
            parameter["Value"] = value.replace("'", '"')
