"""Service Quotas: the vCPU quotas of EC2, as `reconcile sandbox set vcpu_quotas` has set them; read-only.

An account without such a setting has quotas that nothing reaches.

https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("servicequotas")

_PLENTY = 100_000.0
_STANDARD = ("a1", "c5", "d3", "h1", "i4i", "m5", "r5", "t3", "z1d")
# code -> name, and a family of each letter
_CODES = {
    "L-1216C47A": ("Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", _STANDARD),
    "L-34B43A08": ("All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", _STANDARD),
    "L-DB2E81BA": ("Running On-Demand G and VT instances", ("g4dn", "vt1")),
    "L-3819A6DF": ("All G and VT Spot Instance Requests", ("g4dn", "vt1")),
    "L-417A185B": ("Running On-Demand P instances", ("p4d",)),
    "L-7212CCBC": ("All P4, P3 and P2 Spot Instance Requests", ("p4d",)),
}


@RULES.before("GetServiceQuota")
def quota(call: ServiceCall) -> Json:
    """The applied value of one quota; AWS Batch has none of its own here."""
    service, code = call.params["ServiceCode"], call.params["QuotaCode"]
    if service != "ec2" or code not in _CODES:
        raise Refusal("NoSuchResourceException", "The request failed because the specified quota does not exist.")
    name, families = _CODES[code]
    found = [
        most
        for pattern, most in call.account.vcpu_quotas().items()
        if any(fnmatchcase(f"{family}.xlarge", pattern) for family in families)
    ]
    arn = f"arn:{call.partition}:servicequotas:{call.region}:{call.account.id}:{service}/{code}"
    return {
        "Quota": {
            "ServiceCode": service,
            "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
            "QuotaArn": arn,
            "QuotaCode": code,
            "QuotaName": name,
            "Value": float(min(found, default=_PLENTY)),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
    }


@RULES.before("ListServiceQuotas")
def quotas(_: ServiceCall) -> Json:
    """None of AWS Batch's."""
    return {"Quotas": []}
