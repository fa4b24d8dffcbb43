"""A trace shows what it did in PostgreSQL."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from support.otlp import OtlpReceiver

from parley.kit.db import database
from parley.kit.statements import summary
from parley.kit.telemetry import span, telemetry


async def test_a_statement_inside_of_a_span_is_a_span(database_url: str) -> None:
    with OtlpReceiver() as receiver:
        async with (
            telemetry("history", receiver.endpoint),
            database(database_url, "history") as engine,
            engine.connect() as connection,
        ):
            await connection.execute(text("create table colors (name text)"))
            with span("insert batch"):
                await connection.execute(text("insert into colors values (:name)"), [{"name": "red"}, {"name": "blue"}])
            await connection.execute(text("select * from colors"))

        batch, statement = sorted(receiver.spans, key=lambda received: received.start)

    assert statement.name == "INSERT colors"
    assert (statement.kind, statement.parent_id) == ("client", batch.span_id)
    assert statement.attributes["db.system.name"] == "postgresql"


async def test_a_statement_that_fails_ends_its_span(database_url: str) -> None:
    with OtlpReceiver() as receiver:
        async with telemetry("history", receiver.endpoint), database(database_url, "history") as engine:
            with pytest.raises(DBAPIError), span("wrong"):
                async with engine.connect() as connection:
                    await connection.execute(text("select * from nowhere"))

        [statement] = receiver.named("SELECT nowhere")

    assert statement.attributes["error.type"] == "ProgrammingError"
    assert statement.failed, "and so it is kept where it was not sampled"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("INSERT INTO history.messages (a) VALUES ($1)", "INSERT history.messages"),
        ("select a\n from rooms where b = $1", "SELECT rooms"),
        ("update partitions set a = 1", "UPDATE partitions"),
        ("delete from members where a in (select b from c)", "DELETE members"),
        ("with x as (select 1) select * from y", "WITH y"),
        ("select 1", "SELECT"),
        ("", "SQL"),
    ],
)
def test_a_statement_is_called_by_its_verb_and_table(statement: str, expected: str) -> None:
    assert summary(statement) == expected
