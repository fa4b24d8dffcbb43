"""parley.yaml: what is right is read, and all that is wrong is said at once."""

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from parley.kit.apps import AppsError, apps, read
from parley.protocol.apps import BUILT_IN, App, Authorizer, Place, Route

ROOT = Path(__file__).parents[3]

WHOLE = """
apps:
  shop:
    paths: [/shop, /v2/shop]
    stage: prod
    strict: true
    routeSelectionExpression: ${request.body.service}/${request.body.action}
    routes:
      $connect: {nats: true}
      chat/post: {http: "http://127.0.0.1:9000/post", response: true, timeoutSeconds: 3}
      $default: {nats: shop.rest}
    authorizer:
      nats: true
      identitySources: [route.request.querystring.token]
    stageVariables: {table: orders}
    accessKeys: {AKIAEXAMPLE: secret}
  calls: {profile: peerjs, key: ours, paths: [/calls]}
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        file = tmp_path / "parley.yaml"
        file.write_text(text)
        return str(file)

    return write


def test_all_that_can_be_said(write):
    declared = read(write(WHOLE))

    shop = declared["shop"]
    assert (shop.served, shop.stage, shop.strict) == ("apigw", "prod", True)
    assert shop.routes["chat/post"] == Route(http="http://127.0.0.1:9000/post", response=True, timeout_seconds=3)
    assert isinstance(shop.authorizer, Authorizer)
    assert declared["calls"] == App(profile="peerjs", key="ours", paths=("/calls",))


def test_the_schema_takes_it_and_refuses_what_we_refuse():
    schema = json.loads((ROOT / "docs" / "reference" / "schemas" / "parley.yaml.json").read_text())
    validator = Draft202012Validator(schema)

    assert list(validator.iter_errors(yaml.safe_load(WHOLE))) == []
    assert not validator.is_valid({"apps": {"shop": {"profil": "peerjs"}}})
    assert not validator.is_valid({"apps": {"a.b": {}}})


@pytest.mark.parametrize("text", ["", "apps: {}", "# nothing yet\n"])
def test_nothing_is_no_app(write, text):
    assert read(write(text)) == {}


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("apps: [", ["no YAML"]),
        ("apps: {shop: {profil: peerjs}}", ["profil", "$.apps"]),
        ("apps: {a.b: {}}", ["$.apps"]),
        ("apps: {shop: {paths: [shop]}}", ["paths[0]"]),
        ("apps: {shop: {routes: {x: {http: 'ftp://a'}}}}", ["http"]),
        ("apps: {shop: {routes: {x: {timeoutSeconds: 30, nats: true}}}}", ["29"]),
        (
            "apps: {shop: {routes: {x: {}, y: {nats: a, http: 'http://a'}}}}",
            ["apps.shop: routes.x names exactly one", "apps.shop: routes.y names exactly one"],
        ),
        ("apps: {shop: {authorizer: {}}}", ["authorizer names exactly one"]),
        ("apps: {shop: {authorizer: AWS_IAM}}", ["accessKeys"]),
        (
            "apps: {shop: {profile: peerjs, authorizer: {nats: true}, routes: {x: {nats: true}}}}",
            ["apps.shop: routes is for", "apps.shop: authorizer is for", "the profile peerjs has none"],
        ),
        ("apps: {shop: {routeSelectionExpression: '$request.body.a['}}", ["routeSelectionExpression cannot read"]),
        ("apps: {a: {paths: [/x]}, b: {paths: [/x]}}", ["apps.b and apps.a are both at /x"]),
        ("apps: {a: {accessKeys: {K: s}}, b: {accessKeys: {K: t}}}", ["both have the access key K"]),
    ],
)
def test_what_is_wrong_is_said_in_sentences(write, text, complaints):
    with pytest.raises(AppsError) as error:
        read(write(text))
    assert [complaint for complaint in complaints if complaint not in str(error.value)] == []
    assert all(problem.endswith(".") for problem in error.value.problems)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(AppsError, match="No such file"):
        read(str(tmp_path / "none.yaml"))


class TestApps:
    def test_a_path_is_an_app_s_with_and_without_a_stage(self, write):
        found = apps(write(WHOLE), development=False)

        assert found.at("/shop") == found.at("/shop/") == Place("shop", None)
        assert found.at("/shop/prod") == found.at("/shop/prod/") == Place("shop", "prod")
        assert found.at("/v2/shop/prod") == Place("shop", "prod")
        assert found.at("/shop/prod/more") is None
        assert found.at("/") is found.at("/other") is None

    def test_an_access_key_tells_its_app(self, write):
        found = apps(write(WHOLE), development=False)

        keyed = found.with_access_key("AKIAEXAMPLE")
        assert keyed is not None
        assert keyed[0] == "shop"
        assert found.with_access_key("other") is None

    def test_development_has_an_app_for_each_profile_at_its_path(self):
        found = apps("", development=True)

        for name in BUILT_IN:
            assert found.at(f"/{name}") == Place(name, None)
        assert apps("", development=False).at("/workshop") is None

    def test_a_declared_app_takes_a_built_in_one_s_place(self, write):
        found = apps(write("apps: {mine: {profile: y-webrtc, paths: [/workshop]}}"), development=True)

        assert found.at("/workshop") == Place("mine", None)

    def test_an_app_that_nobody_declared_has_the_workshop_s_routes(self):
        assert apps("", development=False).named("any").served == "workshop"
