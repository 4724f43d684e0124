"""The examples' account, for commands typed at the root of the repository."""

from __future__ import annotations

import pytest

from tests.support.examples import ROOT, SECRETS, Account
from tests.support.shell import Shell


@pytest.fixture
def account(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Account:
    for name, value in {**SECRETS, "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    shell.go(ROOT)
    return Account(shell)


@pytest.fixture(params=[7, pytest.param(None, marks=pytest.mark.long)], ids=["shuffled", "in-order"])
def any_order(request: pytest.FixtureRequest, account: Account) -> Account:
    """The account, once with every list of every reply shuffled, once as it is."""
    account.shell.account.change({"shuffle": request.param})
    return account
