"""One timer looks after all sockets."""

from parley.gateway.heartbeat import SLOTS, Heartbeat


class Patient:
    def __init__(self) -> None:
        self.slot = 0
        self.examined = 0
        self.aborted = 0

    def examine(self) -> None:
        self.examined += 1

    def abort(self) -> None:
        self.aborted += 1


def test_each_socket_is_examined_once_an_interval() -> None:
    heartbeat = Heartbeat(interval=25, patience=5)
    early, late = Patient(), Patient()

    heartbeat.watch(early)
    heartbeat.beat(1)
    heartbeat.watch(late)
    for second in range(2 * SLOTS - 1):
        heartbeat.beat(second)

    assert (early.examined, late.examined) == (2, 1)


def test_a_new_socket_has_a_whole_interval() -> None:
    heartbeat = Heartbeat(interval=25, patience=5)
    heartbeat.watch(patient := Patient())

    for second in range(SLOTS - 1):
        heartbeat.beat(second)

    assert patient.examined == 0


def test_who_takes_too_long_to_leave_is_aborted_once_and_examined_no_more() -> None:
    heartbeat = Heartbeat(interval=25, patience=5)
    heartbeat.watch(patient := Patient())

    heartbeat.leaving(patient, now=10)
    heartbeat.leaving(patient, now=14)
    heartbeat.beat(14.9)
    assert patient.aborted == 0
    for second in range(15, 60):
        heartbeat.beat(second)

    assert (patient.aborted, patient.examined) == (1, 0)


def test_a_socket_that_cannot_be_examined_harms_no_other() -> None:
    class Broken(Patient):
        def examine(self) -> None:
            raise RuntimeError("A socket with a bug")

    heartbeat = Heartbeat(interval=25, patience=5)
    broken, well = Broken(), Patient()
    heartbeat.watch(broken)
    heartbeat.watch(well)

    for second in range(SLOTS):
        heartbeat.beat(second)

    assert (broken.aborted, well.examined) == (1, 1)


def test_the_lost_are_forgotten() -> None:
    heartbeat = Heartbeat(interval=25, patience=5)
    living, leaving = Patient(), Patient()
    heartbeat.watch(living)
    heartbeat.watch(leaving)
    heartbeat.leaving(leaving, now=0)

    heartbeat.forget(living)
    heartbeat.forget(leaving)
    for second in range(60):
        heartbeat.beat(second)

    assert living.examined == leaving.aborted == leaving.examined == 0
