"""Writes the GitLab CI/CD component from the pipeline that `init --ci gitlab` writes: the same jobs, with inputs.

https://docs.gitlab.com/ci/components/: a component is `templates/NAME.yml` of its project.
"""

from __future__ import annotations

from pathlib import Path

from reconciler import __version__

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "pipelines" / "gitlab" / ".gitlab" / "reconcile.yml"
TARGET = ROOT / "templates" / "reconcile.yml"
SPEC = """\
# Made by `make docs` from pipelines/gitlab/.gitlab/reconcile.yml.
spec:
  inputs:
    account:
      description: The account that has the roles of environments/ci-roles.
    region:
      description: The Region for environments that name none.
    version:
      description: The version of reconcile.
      default: "{version}"
---
"""


def component() -> str:
    """The text of the component."""
    text = SOURCE.read_text(encoding="utf-8")
    for name in ("account", "region", "version"):
        text = text.replace(f"{{{name}}}", f"$[[ inputs.{name} ]]")
    jobs = text[text.index("variables:") :]
    return SPEC.format(version=__version__) + jobs


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(component(), encoding="utf-8")
    print(f"wrote {TARGET}")
