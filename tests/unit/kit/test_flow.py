"""How many frames a client may send."""

from parley.kit.flow import Flow, Flows, Rate

RATE = Rate(per_second=10, burst=20, flood_seconds=5)


def test_a_burst_passes_and_what_is_above_it_does_not() -> None:
    flow = Flow(RATE, now=0)

    assert [flow.take(0) for _ in range(21)] == [True] * 20 + [False]


def test_time_fills_the_bucket_up_to_the_burst() -> None:
    flow = Flow(RATE, now=0)
    for _ in range(20):
        flow.take(0)

    assert [flow.take(0.1), flow.take(0.1)] == [True, False]
    assert sum(flow.take(1000) for _ in range(50)) == 20


def test_many_at_once_are_let_in_and_owed() -> None:
    flow = Flow(RATE, now=0)

    assert flow.take(0, 30)
    assert [flow.take(0), flow.take(1), flow.take(1.2)] == [False, False, True]


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    flow = Flow(RATE, now=1000)

    assert flow.take(0)


def test_a_flood_that_goes_on_is_lasting() -> None:
    flow = Flow(RATE, now=0)
    now = 0.0
    while not flow.lasting:
        now += 0.01
        flow.take(now)

    assert 5 < now < 7


def test_who_pauses_begins_anew() -> None:
    flow = Flow(RATE, now=0)
    for second in range(0, 100, 5):
        for _ in range(100):
            flow.take(second)

        assert not flow.lasting


def test_of_many_keys_the_one_unused_for_longest_is_forgotten() -> None:
    flows = Flows(Rate(per_second=1, burst=1), most=2)
    for key in ("ana", "bob", "ana", "cid"):
        flows.take(key, 0)

    assert not flows.take("ana", 0)
    assert not flows.take("cid", 0)
    assert flows.take("bob", 0)  # anew
