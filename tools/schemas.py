"""Write schemas/environment.schema.json anew: the settings with every kind's section filled in, for editors."""

from __future__ import annotations

import json

from reconciler.schema import registry

TARGET = registry.directory() / "environment.schema.json"


def text() -> str:
    """The whole document, as it stands in the file."""
    return json.dumps({**registry.published(), "$id": TARGET.name}, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    print(f"wrote {TARGET}")
