"""How often a strict app may call the control plane of Kinesis."""

import pytest

from parley.kit.access import Caller
from parley.protocol.apps import App, Apps
from parley.rooms.channels import shapes
from parley.rooms.channels.faults import Fault
from parley.rooms.channels.paces import PER_CHANNEL, USUAL_PER_APP, Paces

ANA = Caller("shop", "eu-west-1", "AKIDANA")
ARN = "arn:aws:kinesisvideo:eu-west-1:123456789012:channel/demo/1700000000000"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def paces(clock: Clock) -> Paces:
    return Paces(Apps({"shop": App(strict=True), "other": App()}), now=lambda: clock.now)


def let_through(paces: Paces, path: str, body: shapes.Shape, caller: Caller = ANA, calls: int = 1000) -> int:
    """Return how many of so many calls at once are carried out."""
    return sum(carried_out(paces, path, body, caller) for _ in range(calls))


def carried_out(paces: Paces, path: str, body: shapes.Shape, caller: Caller) -> bool:
    try:
        paces.count(path, caller, body)
    except Fault as fault:
        return fault.kind != "ClientLimitExceededException"
    return True


def test_five_calls_of_a_kind_a_second_are_for_one_channel_by_whatever_name(paces: Paces, clock: Clock) -> None:
    path, by_arn = "/describeSignalingChannel", shapes.Describe(channel_arn=ARN)

    assert let_through(paces, path, shapes.Describe(channel_name="demo"), calls=3) == 3
    assert let_through(paces, path, by_arn) == PER_CHANNEL - 3
    assert let_through(paces, path, shapes.Describe(channel_name="another")) == PER_CHANNEL
    assert let_through(paces, "/getSignalingChannelEndpoint", shapes.GetEndpoint(channel_arn=ARN)) == PER_CHANNEL
    assert let_through(paces, "/v1/get-ice-server-config", shapes.GetIceServerConfig(channel_arn=ARN)) == PER_CHANNEL
    clock.now += 1
    assert let_through(paces, path, by_arn) == PER_CHANNEL


def test_fifty_channels_a_second_are_made(paces: Paces) -> None:
    assert let_through(paces, "/createSignalingChannel", shapes.Create(channel_name="x")) == USUAL_PER_APP


def test_an_app_that_is_not_strict_calls_as_often_as_it_likes(paces: Paces) -> None:
    other = Caller("other", "eu-west-1", "AKIDBOB")

    assert let_through(paces, "/createSignalingChannel", shapes.Create(channel_name="x"), other) == 1000
