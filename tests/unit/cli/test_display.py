"""What a terminal shows of the parts."""

import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console

from parley.cli.display import picture
from parley.cli.part import Part, Spec

if TYPE_CHECKING:
    from parley.cli.embedded.process import Process
    from parley.cli.supervisor import Supervisor


async def check(_pid: int) -> str | None:
    return None


def part(name: str, status: str, *, ready: bool, restarts: int = 0) -> Part:
    spec = Spec(name, 0, cast("Any", None), check, address="127.0.0.1:1")
    process = cast("Process", SimpleNamespace(pid=42))
    made = Part(spec, lambda: None, process=process, status=status, ready=ready, restarts=restarts)
    if ready or restarts:
        made.was_ready.set()
    return made


def shown(*parts: Part, stopping: bool = False, mode: str = "development") -> str:
    plan = SimpleNamespace(
        front_door="http://127.0.0.1:8080",
        nats="nats://n",
        database="postgresql://d",
        root_certificate=None,
        observed=(("Traces", "http://127.0.0.1:4318"),),
    )
    supervisor = SimpleNamespace(parts=parts, plan=plan, stopping=stopping, instance=SimpleNamespace(logs="/logs"))
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    console.print(picture(cast("Supervisor", supervisor), mode))
    return cast("io.StringIO", console.file).getvalue()


def test_each_part_has_a_line_with_its_state() -> None:
    lines = shown(part("nats", "ready", ready=True), part("rooms", "starts", ready=False)).splitlines()

    assert [line.split()[:3] for line in lines] == [["●", "nats-0", "ready"], ["○", "rooms-0", "starts"]]


def test_a_part_that_was_started_again_says_so() -> None:
    assert "ready (started again once)" in shown(part("nats", "ready", ready=True, restarts=1))
    assert "ready (started again 2 times)" in shown(part("nats", "ready", ready=True, restarts=2))


def test_addresses_and_the_development_notice_appear_once_all_parts_have_been_ready() -> None:
    ready, late = part("nats", "ready", ready=True), part("rooms", "starts", ready=False)

    assert "http://127.0.0.1:8080" not in shown(ready, late)
    assert "http://127.0.0.1:8080" in shown(ready)
    assert "DEVELOPMENT MODE" in shown(ready)
    assert "DEVELOPMENT MODE" not in shown(ready, mode="production")


def test_stopping_says_how_to_hurry() -> None:
    assert "Ctrl-C again" in shown(part("nats", "stops", ready=False), stopping=True)
