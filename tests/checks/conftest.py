import pytest

from reconciler.checks import environment
from reconciler.config import loader
from tests.support.own_kinds import KINDS, SCHEMAS


@pytest.fixture
def checked(tmp_path):
    """``checked(yaml, NAME=value)`` gives the environment and what was found: (severity, code, place, message, hint)."""

    def run(text, **environ):
        (tmp_path / "e.yaml").write_text("environment: t\n" + text)
        loaded = loader.load(tmp_path / "e.yaml", environ=environ, sections=[*KINDS, "others"])
        env, problems = environment.environment(loaded, KINDS, SCHEMAS)
        return env, [(p.severity, p.code, f"{p.pos.line}:{p.pos.column}", p.message, p.hint) for p in problems]

    return run
