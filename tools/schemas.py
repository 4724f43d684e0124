"""Write schemas/environment.schema.json: the settings and the section of every kind, for editors."""

from __future__ import annotations

import json

from reconciler.schema import registry

TARGET = registry.directory() / "environment.schema.json"


def text() -> str:
    """The content of the file."""
    return json.dumps({**registry.published(), "$id": TARGET.name}, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    print(f"wrote {TARGET}")
