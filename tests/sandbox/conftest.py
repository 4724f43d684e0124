"""The sandbox's AWS Batch behind a boto3 client, in an account that has what an environment needs."""

import pytest

from reconciler.sandbox.batch import Batch, ProfileFacts, RoleFacts, Settings
from reconciler.sandbox.clock import Clock
from tests.sandbox.batch_desk import ACCOUNT, FLEET, POLICY, PROFILE, ROLE, START, Desk, FakeWorld, client_of


@pytest.fixture
def world() -> FakeWorld:
    fake = FakeWorld()
    fake.roles[ROLE] = RoleFacts(ROLE, trusts=frozenset({"batch.amazonaws.com"}), policies=frozenset({POLICY}))
    fake.roles[FLEET] = RoleFacts(FLEET, trusts=frozenset({"spotfleet.amazonaws.com"}))
    fake.profiles["nodes"] = ProfileFacts(PROFILE, role_arn=f"arn:aws:iam::{ACCOUNT}:role/nodes")
    return fake


@pytest.fixture
def desk(world: FakeWorld) -> Desk:
    clock, settings = Clock(speed=0, start=START), Settings()
    batch = Batch(
        account=ACCOUNT, region="eu-west-1", partition="aws", clock=clock, surroundings=world, settings=settings
    )
    return Desk(batch, clock, world, settings, client_of(batch))
