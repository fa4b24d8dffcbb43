"""
The command line: every command and its options, nothing of what they do.

A command's own module is imported when it runs, so that `parley status` does not pay for what `parley up` needs.
"""
# ruff: noqa: PLC0415 - see above

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from parley.cli.problem import Problem

app = typer.Typer(
    help="Self-hosted signaling and realtime for WebRTC.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def up(
    scale: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=N", help="Run N of a service (gateway, presence, rooms, history). Repeatable."),
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve the front door with TLS (https, wss) of an authority of its own.")
    ] = False,
    observe: Annotated[
        bool, typer.Option("--observe", help="Record every trace, with a page to see them, and metrics in Prometheus.")
    ] = False,
) -> None:
    """
    Start everything and keep it running; Ctrl-C stops it.

    One front door at http://127.0.0.1:8080 (PARLEY_PORT), all data in .parley here (PARLEY_DATA). NATS and PostgreSQL
    come along; set NATS_URL or DATABASE_URL to use others. Several instances run side by side with different ports
    and folders.
    """
    from parley.cli.up import up as run

    run(scale or [], tls=tls, observe=observe)


@app.command()
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file that declares the apps.")] = "parley.yaml",
) -> None:
    """Say what is wrong with a file that declares apps, all at once; exit with 1 if anything is."""
    from parley.cli.check import check as run

    typer.echo(run(file))


@app.command()
def down() -> None:
    """Stop what runs on PARLEY_DATA (.parley here)."""
    from parley.cli.down import down as run

    typer.echo(run())


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: addresses, process ids, readiness.")] = False,
) -> None:
    """Show the parts of what runs on PARLEY_DATA, and whether they are ready."""
    from parley.cli.status import print_status
    from parley.cli.status import status as ask

    found = ask()
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(found).decode())
    else:
        print_status(found)


@app.command()
def token(
    sub: Annotated[str | None, typer.Option(metavar="USER", help="Whom the token names.")] = None,
    in_app: Annotated[str | None, typer.Option("--app", metavar="APP", help="For which app ('default').")] = None,
    room: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN[=VERBS]",
            help="What it allows in rooms, such as 'team-*=join,send'; verbs: join, send, history, admin. Repeatable.",
        ),
    ] = None,
    direct: Annotated[bool, typer.Option("--direct", help="Allow messages to single connections.")] = False,
    presence: Annotated[bool, typer.Option("--presence", help="Allow saying how available one is.")] = False,
    metadata: Annotated[bool, typer.Option("--metadata", help="Allow changing one's metadata.")] = False,
    broadcast: Annotated[bool, typer.Option("--broadcast", help="Allow speaking to the whole app.")] = False,
    admin: Annotated[bool, typer.Option("--admin", help="Allow everything in the app: for a backend.")] = False,
    lifetime: Annotated[str, typer.Option("--for", metavar="TIME", help="How long: 90s, 30m, 12h, 7d.")] = "1h",
) -> None:
    """
    Mint a token: a JWT for clients and backends.

    It is signed with PARLEY_TOKEN_SECRET, or with the secret that `parley up` keeps in PARLEY_DATA. Without any grant
    asked for, it allows what a person needs: every room, direct messages and presence.
    """
    from parley.cli.token import token as mint

    asked = {"direct": direct, "presence": presence, "metadata": metadata, "broadcast": broadcast, "admin": admin}
    typer.echo(mint(sub, in_app, room or [], [grant for grant, wanted in asked.items() if wanted], lifetime))


@app.command()
def tail(
    in_app: Annotated[str | None, typer.Option("--app", metavar="APP", help="Only this app's; by default all.")] = None,
    types: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="Only these: 'room.joined', 'room.*', 'call.*'.")
    ] = ">",
    room: Annotated[str | None, typer.Option(metavar="ROOM", help="Only what happens in this room.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Begin in the past: 90s, 10m, 12h, 7d, or a time.")
    ] = None,
    nats: Annotated[
        str | None, typer.Option(metavar="URL", help="Where NATS is; by default the one of what runs on PARLEY_DATA.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines on a terminal, too.")] = False,
) -> None:
    """
    Follow the public events; Ctrl-C ends it.

    Coloured lines on a terminal, JSON lines in a pipe: each the CloudEvent as backends read it.
    """
    from parley.cli.tail import Wanted, since_of
    from parley.cli.tail import tail as run

    run(Wanted(in_app, types, room, since_of(since)), nats, as_json=as_json)


@app.command()
def function(
    handler: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:HANDLER|URL", help="A Python handler, found from this folder, or the address of a server."
        ),
    ],
    route: Annotated[
        list[str], typer.Option(metavar="ROUTE", help="Whose events it gets: sendMsg, '$connect'. Repeatable.")
    ],
    in_app: Annotated[str, typer.Option("--app", metavar="APP", help="Whose route it is.")] = "default",
    copies: Annotated[int, typer.Option(metavar="N", min=1, help="Run so many processes of it.")] = 1,
    concurrency: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Give each so many events at once; by default 1, as Lambda does, and a server 50."
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.05, max=900, help="How long it may take over an event.")
    ] = 29,
    nats: Annotated[
        str | None, typer.Option(metavar="URL", help="Where NATS is; by default the one of what runs on PARLEY_DATA.")
    ] = None,
) -> None:
    """
    Run a handler written for AWS Lambda behind a route; Ctrl-C ends it when it has finished what has come in.

    It is called as handler(event, context), in processes of its own. One that dies or takes too long is replaced. Run
    the command on several machines, and they share the work.
    """
    from parley.cli.function.serve import Wanted
    from parley.cli.function.serve import serve as run

    run(Wanted(handler, in_app, route, copies, concurrency, timeout), nats)


@app.command()
def doctor(
    gateway: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT",
            help="A gateway's HTTP, to ask it for its sockets; by default those of what runs here. Repeatable.",
        ),
    ] = None,
    patience: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long a difference must persist to count.")
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """
    Check that gateways, presence, rooms and history agree: every connection, member and open call.

    Asks a running system and changes nothing. What is only on its way is no difference. One line for each, and exit
    code 1 if there is any.
    """
    from parley.cli.doctor import doctor as run
    from parley.cli.doctor import lines

    found = run(gateway or [], patience)
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(found).decode())
    else:
        for address in found.unasked:
            typer.echo(f"The gateway at {address} does not answer: its sockets were not compared.", err=True)
        for line in lines(found):
            typer.echo(line)
    raise typer.Exit(0 if found.agree else 1)


def main() -> None:
    """Run a command."""
    telling(app)


def telling(command: Callable[[], None]) -> None:
    """Run *command*; what is wrong is said in a sentence, not a trace."""
    try:
        command()
    except Problem as problem:
        sys.stderr.write(f"parley: {problem}\n")
        raise SystemExit(1) from None
    except PermissionError as error:
        sys.stderr.write(f"parley: {error.filename} belongs to another user: set PARLEY_DATA to a folder of yours.\n")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
