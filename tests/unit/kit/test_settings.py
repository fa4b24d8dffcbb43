"""Settings: small, frozen, and wrong ones refused with all reasons at once."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

import pytest
from msgspec import Meta

from parley.kit.docstrings import field_docs
from parley.kit.settings import Common, Port, Seconds, SettingsError, Stateful, Words, variables_of


class Settings(Stateful, frozen=True, kw_only=True):
    prefix: ClassVar[str] = "ROOMS"

    port: Port = 8080
    """Where it listens."""
    drain: Seconds = 20
    """How long it
    drains."""
    origins: Words = ()
    loud: bool = False
    capacity: Annotated[int, Meta(ge=2)] = 10

    def problems(self) -> Iterator[str]:
        if self.loud and not self.origins:
            yield "ROOMS_LOUD needs ROOMS_ORIGINS: set it."


class Stateless(Common, frozen=True, kw_only=True):
    prefix: ClassVar[str] = "GATEWAY"

    port: Port = 0


DATABASE = {"DATABASE_URL": "postgresql://u:p@h/db"}


def refused(environ: dict[str, str], kind: type[Common] = Settings) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        kind.from_env(environ)
    return caught.value.problems


def test_fields_are_read_from_their_own_variables_and_shared_ones_from_fixed_names() -> None:
    settings = Settings.from_env(
        DATABASE | {"ROOMS_PORT": "1", "NATS_URL": "nats://n:1", "PARLEY_MODE": "development", "ROOMS_HOST": "0.0.0.0"}
    )

    assert (settings.port, settings.nats_url, settings.host) == (1, "nats://n:1", "0.0.0.0")
    assert settings.development


def test_text_becomes_numbers_durations_booleans_and_lists() -> None:
    settings = Settings.from_env(
        DATABASE | {"ROOMS_DRAIN": "2.5", "ROOMS_LOUD": "true", "ROOMS_ORIGINS": " a.org, ,b.org ", "TURN_TTL": "60"}
    )

    assert settings.drain == 2.5
    assert settings.loud is True
    assert settings.origins == ("a.org", "b.org")
    assert settings.turn_ttl == 60


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert Settings.from_env(DATABASE | {"ROOMS_PORT": ""}).port == 8080


def test_settings_cannot_be_changed() -> None:
    settings = Settings.from_env(DATABASE)

    with pytest.raises(AttributeError):
        settings.port = 1  # type: ignore[misc]


def test_a_misspelt_variable_is_refused_and_the_nearest_valid_one_named() -> None:
    assert refused(DATABASE | {"ROOMS_CAPASITY": "8"}) == [
        "ROOMS_CAPASITY is not a setting: did you mean ROOMS_CAPACITY?"
    ]


def test_a_misspelt_shared_variable_is_refused() -> None:
    assert refused({"PARLEY_MOD": "development"}, Stateless) == [
        "PARLEY_MOD is not a setting: did you mean PARLEY_MODE?"
    ]


def test_a_variable_like_no_other_is_refused_too() -> None:
    [problem] = refused(DATABASE | {"ROOMS_ZZZZZZZZ": "8"})

    assert problem.startswith("ROOMS_ZZZZZZZZ is not a setting")


@pytest.mark.parametrize(
    "name", ["PARLEY_PORT", "PARLEY_DATA", "PARLEY_API_KEYS", "DATABASE_URL", "GATEWAYS_PORT", "HOME"]
)
def test_variables_of_others_are_left_alone(name: str) -> None:
    Stateless.from_env({name: "postgresql://h/db"})


def test_a_missing_variable_is_named_with_what_it_is() -> None:
    assert refused({}) == [
        "DATABASE_URL is missing. It is: PostgreSQL, as `postgresql://user:password@host:port/database`."
    ]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    problems = refused({"ROOMS_PORT": "70000", "PARLEY_MODE": "dev", "ROOMS_LOUD": "maybe", "ROOMS_X": "1"})

    assert sorted(problem.split()[0] for problem in problems) == [
        "DATABASE_URL",
        "PARLEY_MODE",
        "ROOMS_LOUD",
        "ROOMS_PORT",
        "ROOMS_X",
    ]
    assert "ROOMS_PORT must be a whole number from 0 to 65535, not '70000'." in problems
    assert "PARLEY_MODE must be development or production, not 'dev'." in problems


def test_settings_that_do_not_fit_each_other_are_refused() -> None:
    assert refused(DATABASE | {"ROOMS_LOUD": "1"}) == ["ROOMS_LOUD needs ROOMS_ORIGINS: set it."]


def test_a_secret_is_not_repeated_in_the_refusal() -> None:
    [problem] = refused({"DATABASE_URL": "mysql://u:hunter2@h/db"})

    assert "hunter2" not in problem


@pytest.mark.parametrize("url", ["nats://user:pa#ss@n:4222", "nats://n:1,nats://user:pa/ss@n:4222", "nats://[n:4222"])
def test_a_url_whose_password_is_not_encoded_is_refused_without_it(url: str) -> None:
    (sentence,) = refused({"NATS_URL": url}, Stateless)

    assert sentence.startswith("NATS_URL is no list of URLs")
    assert "pa" not in sentence.replace("password", "")


def test_what_kubernetes_injects_is_recognised() -> None:
    """A Service named `gateway` puts GATEWAY_PORT=tcp://... into every pod of its namespace."""
    problems = refused({"GATEWAY_PORT": "tcp://10.0.0.1:80", "GATEWAY_SERVICE_HOST": "10.0.0.1"}, Stateless)

    assert len(problems) == 2
    assert all("enableServiceLinks: false" in problem for problem in problems)


def test_metrics_stay_here_unless_it_is_said_that_and_where_they_are_sent() -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}

    assert not Stateless.from_env(endpoint).pushes
    assert Stateless.from_env(endpoint | {"OTEL_METRICS_EXPORTER": "prometheus, otlp"}).pushes
    assert refused({"OTEL_METRICS_EXPORTER": "otlp"}, Stateless) == [
        "OTEL_METRICS_EXPORTER is otlp, but OTEL_EXPORTER_OTLP_ENDPOINT does not say where to: set it."
    ]
    assert refused({"OTEL_METRICS_EXPORTER": "oltp"}, Stateless) == [
        "OTEL_METRICS_EXPORTER must be a list, separated by commas, of none or otlp or prometheus, not 'oltp'."
    ]


def test_settings_need_no_database_unless_they_say_so() -> None:
    assert "DATABASE_URL" not in {variable.env for variable in variables_of(Stateless)}


def test_the_docstring_below_a_field_is_found_also_in_the_classes_above() -> None:
    docs = field_docs(Settings)

    assert docs["port"] == "Where it listens."
    assert docs["drain"] == "How long it\ndrains."
    assert docs["database_url"].startswith("PostgreSQL")
    assert "loud" not in docs
