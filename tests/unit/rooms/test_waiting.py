"""How much of one sender's may wait: an address is a name that anybody can make up."""

from support.partition import Partition, heard, raw

from parley.protocol import says
from parley.protocol.codes import ErrorCode
from parley.protocol.requests import Letter, Register
from parley.rooms.addresses import MOST_SENT

SIZE = 100_000


def letter(number):
    data = raw(f'"{"x" * (SIZE - 2)}"')
    return Letter(box=f"absent-{number}", name="", sender="ana", kind="OFFER", data=data, keep_ms=5000, ref="1")


def answers(partition, numbers, name="ana"):
    return [say for number in numbers for say in heard(partition.asks(name, letter(number)), name)]


def test_letters_to_ever_other_addresses_are_bounded_together_and_each_sender_for_itself():
    partition = Partition()
    for name in ("ana", "bob", "cid"):
        partition.opens(name, gateway=f"g-{name}")
    fit = MOST_SENT // SIZE

    assert all(isinstance(say, says.Ok) for say in answers(partition, range(fit)))
    assert [say.code for say in answers(partition, [fit])] == [ErrorCode.RATE_LIMITED]
    assert isinstance(answers(partition, [fit], "bob")[0], says.Ok)

    partition.asks("cid", Register(box="absent-0", name=""))
    assert [type(say) for say in answers(partition, [fit, fit + 1])] == [says.Ok, says.Error]
