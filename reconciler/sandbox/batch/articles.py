"""Scripts for the jobs of three articles of the AWS blog, whose set-ups are in `environments/`.

The image `no-container-image` of the first one is missing without a script: no registry has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.sandbox.batch.outcomes import with_lines

_ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "AWS_BATCH_CE_NAME=od-ce",
    "AWS_BATCH_JQ_NAME=jq",
    "AWS_BATCH_JOB_ID=$AWS_BATCH_JOB_ID",
    "AWS_BATCH_JOB_ATTEMPT=$AWS_BATCH_JOB_ATTEMPT",
    "HOME=/root",
)

ARTICLES: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "retry": {
        "spot": ["host-lost@120", "exit:0@600"],
        "randomEC": [with_lines(f"exit:{code}@20", [f"exit code {code}"]) for code in (1, 2, 3)],
    },
    "logging": {name: [with_lines("exit:0@30", _ENVIRONMENT)] for name in ("alpine-env", "alpine-splunk")},
    "desktop": {
        "DCV-GPU-JD": [with_lines("runs-on", ["starting the DCV server", "the session is ready, on port 8443"])]
    },
}
"""How jobs end, by article and by name of the job definition."""
