"""What a token is worth: who may hold one, and what is not one."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from parley.kit.identity import Identity, matches
from parley.kit.jwks import AGE_SECONDS, PAUSE_SECONDS, KeySet, keys_of
from parley.kit.tokens import Tokens, mint
from parley.protocol.codes import ErrorCode, Refusal

SECRET = "a secret that is long enough for HS256"
NOW = 1_800_000_000


def tokens(**settings: Any) -> Tokens:
    return Tokens(**({"secret": SECRET} | settings), now=lambda: NOW)


def signed(key: Any = SECRET, algorithm: str | None = "HS256", kid: str | None = None, **claims: Any) -> str:
    headers = {"kid": kid} if kid else None
    return jwt.encode({"exp": NOW + 60, "sub": "ana"} | claims, key, algorithm, headers)


async def refused(checks: Tokens, token: str | None, app: str | None = None) -> ErrorCode:
    with pytest.raises(Refusal) as refusal:
        await checks.identify(token, app)
    return refusal.value.code


class TestWhoIsAsking:
    async def test_a_token_names_its_bearer_and_what_it_may_do(self) -> None:
        token = mint(
            SECRET,
            expires_at=NOW + 60,
            subject="ana",
            app="shop",
            rooms={"team-*": ["join", "send"]},
            grants=["direct"],
        )

        identity = await tokens().identify(token, "shop")

        assert (identity.app, identity.subject, identity.expires_at) == ("shop", "ana", (NOW + 60) * 1000)
        assert identity.may("team-a", "join")
        assert not identity.may("team-a", "history")
        assert not identity.may("other", "join")
        assert identity.direct
        assert [identity.presence, identity.broadcast, identity.admin, identity.metadata] == [False] * 4

    async def test_unknown_claims_and_verbs_are_ignored(self) -> None:
        token = signed(iss="somebody", aud="others", iat=NOW + 900, rooms={"r": ["join", "juggle"]})

        assert (await tokens().identify(token)).may("r", "join")

    async def test_a_token_without_app_is_of_the_default_app(self) -> None:
        assert (await tokens().identify(signed())).app == "default"
        assert await refused(tokens(), signed(), "shop") == "unauthorized"

    async def test_an_admin_may_do_everything_in_the_app(self) -> None:
        assert (await tokens().identify(signed(admin=True))).may("any", "history")

    async def test_a_rooms_admin_may_do_everything_in_it(self) -> None:
        identity = await tokens().identify(signed(rooms={"r": ["admin"]}))

        assert identity.may("r", "send")
        assert not identity.may("s", "send")

    async def test_in_development_mode_nobody_is_somebody_who_may_do_anything(self) -> None:
        identity = await tokens(development=True).identify(None, "shop")

        assert (identity.app, identity.subject, identity.expires_at) == ("shop", None, None)
        assert identity.may("any", "admin")
        assert identity.admin

    async def test_a_token_counts_in_development_mode_too(self) -> None:
        assert not (await tokens(development=True).identify(signed())).admin
        assert await refused(tokens(development=True), signed("forged" * 9)) == "unauthorized"
        assert await refused(tokens(development=True, secret=""), signed()) == "unauthorized"

    @pytest.mark.parametrize("app", ["a.b", "*", ">", "a b", "x" * 256, "é", "a\r\nPUB"])
    async def test_an_app_is_one_token_of_a_subject(self, app: str) -> None:
        assert await refused(tokens(development=True), None, app) == "not_found"
        assert await refused(tokens(), signed(app=app)) == "not_found"


class TestWhatIsNoToken:
    async def test_outside_development_mode_a_token_is_needed(self) -> None:
        assert await refused(tokens(), None) == "unauthorized"
        assert await refused(tokens(), "") == "unauthorized"

    async def test_an_expired_one_says_so(self) -> None:
        assert await refused(tokens(), signed(exp=NOW)) == "token_expired"

    async def test_one_that_never_expires_is_refused(self) -> None:
        token = jwt.encode({"sub": "ana"}, SECRET, "HS256")

        assert await refused(tokens(), token) == "unauthorized"

    async def test_one_that_does_not_hold_yet_is_refused(self) -> None:
        assert await refused(tokens(), signed(nbf=NOW + 1)) == "unauthorized"

    async def test_a_forged_one_is_refused(self) -> None:
        assert await refused(tokens(), signed("another secret, as long as the first")) == "unauthorized"

    async def test_one_whose_claims_were_changed_is_refused(self) -> None:
        head, _, tail = signed().split(".")
        body = base64.urlsafe_b64encode(json.dumps({"sub": "eve", "exp": NOW + 60}).encode()).rstrip(b"=").decode()

        assert await refused(tokens(), f"{head}.{body}.{tail}") == "unauthorized"

    async def test_an_unsigned_one_is_refused(self) -> None:
        token = signed(None, "none")

        assert await refused(tokens(), token) == "unauthorized"
        assert await refused(tokens(development=True, secret=""), token) == "unauthorized"

    async def test_other_lengths_of_hash_are_refused(self) -> None:
        assert await refused(tokens(), signed(SECRET * 2, "HS512")) == "unauthorized"

    async def test_one_for_another_app_is_refused(self) -> None:
        assert await refused(tokens(), signed(app="shop"), "bank") == "unauthorized"

    @pytest.mark.parametrize(
        "claims",
        [
            {"exp": "soon"}, {"exp": 1e300}, {"exp": -1}, {"rooms": ["r"]}, {"rooms": {"r": "join"}}, {"direct": "yes"},
            {"sub": 7}, {"sub": ""}, {"app": None}, {"jti": 1}, {"admin": 1},
        ],
    )  # fmt: skip
    async def test_claims_of_another_shape_are_refused(self, claims: dict[str, Any]) -> None:
        token = jwt.PyJWS().encode(json.dumps({"exp": NOW + 60} | claims).encode(), SECRET.encode(), "HS256")

        assert await refused(tokens(), token) == "unauthorized"

    @pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100_000])
    async def test_claims_that_are_no_object_are_refused(self, payload: bytes) -> None:
        assert await refused(tokens(), jwt.PyJWS().encode(payload, SECRET.encode(), "HS256")) == "unauthorized"

    @given(st.text() | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True))
    async def test_nothing_else_is_one(self, text: str) -> None:
        assert await refused(tokens(), text) == "unauthorized"

    def test_a_public_key_is_not_taken_for_a_secret(self) -> None:
        pem = public_pem(rsa.generate_private_key(65537, 2048))

        with pytest.raises(ValueError, match="PARLEY_JWKS"):
            tokens(secret=pem.decode())


def public_pem(private: rsa.RSAPrivateKey) -> bytes:
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def jwk_of(private: Any, **more: Any) -> dict[str, Any]:
    public = private.public_key()
    if isinstance(private, rsa.RSAPrivateKey):
        jwk = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        jwk = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        jwk = OKPAlgorithm.to_jwk(public, as_dict=True)
    return {key: value for key, value in jwk.items() if key != "key_ops"} | more


RSA = rsa.generate_private_key(65537, 2048)
OTHER = ed25519.Ed25519PrivateKey.generate()


@pytest.fixture
def published(tmp_path: Path) -> Callable[..., str]:
    """Give a function that writes a key set to one file, and says where that is."""

    def publish(*keys: dict[str, Any]) -> str:
        (tmp_path / "jwks.json").write_text(json.dumps({"keys": keys}))
        return str(tmp_path / "jwks.json")

    return publish


class TestPublicKeys:
    @pytest.mark.parametrize(
        ("private", "algorithm"),
        [
            (RSA, "RS256"), (RSA, "RS512"), (OTHER, "EdDSA"),
            (ec.generate_private_key(ec.SECP256R1()), "ES256"), (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        ],
    )  # fmt: skip
    async def test_each_kind_of_key_verifies_its_kind_of_signature(
        self, private: Any, algorithm: str, published: Callable[..., str]
    ) -> None:
        checks = tokens(secret="", jwks=published(jwk_of(private, kid="k")))

        assert (await checks.identify(signed(private, algorithm, "k"))).subject == "ana"
        assert (await checks.identify(signed(private, algorithm))).subject == "ana", "a key id may be left out"

    async def test_a_public_key_does_not_verify_hs256(self, published: Callable[..., str]) -> None:
        """Everybody can read the public key, so everybody could sign with its bytes."""
        checks = tokens(secret="", jwks=published(jwk_of(RSA, kid="k")))
        head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"k","typ":"JWT"}').rstrip(b"=")
        body = base64.urlsafe_b64encode(json.dumps({"exp": NOW + 60}).encode()).rstrip(b"=")
        for secret in (public_pem(RSA), public_pem(RSA).strip(), json.dumps(jwk_of(RSA, kid="k")).encode()):
            tail = base64.urlsafe_b64encode(hmac.digest(secret, head + b"." + body, hashlib.sha256)).rstrip(b"=")

            assert await refused(checks, b".".join([head, body, tail]).decode()) == "unauthorized"

    async def test_a_secret_in_a_key_set_verifies_nothing(self, published: Callable[..., str]) -> None:
        secret = base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()
        checks = tokens(secret="", jwks=published({"kty": "oct", "k": secret, "kid": "k", "alg": "HS256"}))

        assert await refused(checks, signed(kid="k")) == "unauthorized"

    async def test_an_unsigned_token_is_refused(self, published: Callable[..., str]) -> None:
        checks = tokens(secret="", jwks=published(jwk_of(RSA)))

        assert await refused(checks, signed(None, "none")) == "unauthorized"

    async def test_a_secret_and_a_key_set_can_be_used_side_by_side(self, published: Callable[..., str]) -> None:
        checks = tokens(jwks=published(jwk_of(RSA, kid="k")))

        assert (await checks.identify(signed())).subject == "ana"
        assert (await checks.identify(signed(RSA, "RS256", "k"))).subject == "ana"

    async def test_unusable_keys_are_passed_over(self) -> None:
        keys = [
            "no object",
            jwk_of(RSA, kid="for encryption", use="enc"),
            jwk_of(RSA, kid="other algorithm", alg="RSA-OAEP"),
            jwk_of(rsa.generate_private_key(65537, 1024), kid="short"),
            {"kty": "RSA", "kid": "broken"},
            {"kty": "EC", "crv": "secp256k1", "kid": "curve"},
            {"kty": "made up"},
            jwk_of(RSA, kid="good", use="sig", alg="RS384"),
        ]

        found = list(keys_of(json.dumps({"keys": keys}).encode()))

        assert [(key.id, key.algorithms) for key in found] == [("good", ("RS384",))]

    async def test_without_any_key_set_the_answer_is_to_wait(self, tmp_path: Path) -> None:
        checks = tokens(secret="", jwks=str(tmp_path / "missing.json"))

        assert await refused(checks, signed(RSA, "RS256", "k")) == "degraded"
        assert "cannot be read" in str(await checks.missing())


class TestRotation:
    @pytest.fixture
    def time(self) -> list[float]:
        return [1000.0]

    @pytest.fixture
    async def keys(self, published: Callable[..., str], time: list[float]) -> KeySet:
        keys = KeySet(published(jwk_of(RSA, kid="old")), clock=lambda: time[0])
        assert await keys.candidates("RS256", "old")
        return keys

    async def test_an_unknown_key_makes_us_look_again(
        self, keys: KeySet, published: Callable[..., str], time: list[float]
    ) -> None:
        published(jwk_of(RSA, kid="old"), jwk_of(OTHER, kid="new"))
        time[0] += PAUSE_SECONDS + 1

        assert [key.id for key in await keys.candidates("EdDSA", "new")] == ["new"]

    async def test_invented_keys_do_not_make_us_look_all_the_time(
        self, keys: KeySet, published: Callable[..., str], time: list[float]
    ) -> None:
        time[0] += PAUSE_SECONDS + 1
        assert not await keys.candidates("EdDSA", "invented")
        published(jwk_of(OTHER, kid="invented"))

        assert not await keys.candidates("EdDSA", "invented")

    async def test_a_key_that_was_withdrawn_stops_to_hold(
        self, keys: KeySet, published: Callable[..., str], time: list[float]
    ) -> None:
        published(jwk_of(OTHER, kid="new"))
        time[0] += AGE_SECONDS + 1

        assert not await keys.candidates("RS256", "old")

    async def test_keys_stay_while_their_source_is_away(self, keys: KeySet, tmp_path: Path, time: list[float]) -> None:
        (tmp_path / "jwks.json").write_text("<html>down for maintenance</html>")
        time[0] += AGE_SECONDS + 1

        assert await keys.candidates("RS256", "old")
        assert await keys.missing() is None


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "name", "fits"),
        [
            ("*", "", True), ("*", "any\nthing", True), ("team-*", "team-", True), ("team-*", "team", False),
            ("*-x", "a-x", True), ("a*b*c", "abc", True), ("a*b*c", "a-c-b-c", True), ("a*b*c", "acb", False),
            ("a*a", "a", False), ("r.1", "r-1", False), ("[ab]", "a", False), ("?", "a", False), ("r", "R", False),
            ("", "", True), ("", "a", False), ("a**b", "a*b", True), ("*ab*ab*", "abab", True),
            ("*aba*ba", "ababa", True),
        ],
    )  # fmt: skip
    def test_a_star_is_any_run_of_characters(self, pattern: str, name: str, fits: bool) -> None:
        assert matches(pattern, name) is fits

    @given(st.text("ab*", max_size=8), st.text("ab*", max_size=10))
    def test_it_agrees_with_the_obvious_recursion(self, pattern: str, name: str) -> None:
        def obvious(pattern: str, name: str) -> bool:
            if not pattern:
                return not name
            if pattern[0] == "*":
                return obvious(pattern[1:], name) or (bool(name) and obvious(pattern, name[1:]))
            return bool(name) and name[0] == pattern[0] and obvious(pattern[1:], name[1:])

        assert matches(pattern, name) == obvious(pattern, name)


def test_without_a_key_nothing_slow_is_imported() -> None:
    """The gateway of development mode starts without cryptography, and any gateway without a web framework."""
    script = "import sys; from parley.kit.tokens import Tokens; Tokens(development=True); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert not {"jwt", "cryptography", "fastapi", "pydantic", "sqlalchemy", "urllib.request"} & set(loaded)


def test_an_identity_expires_at_its_moment() -> None:
    identity = Identity(app="default", expires_at=1000)

    assert not identity.expired(999)
    assert identity.expired(1000)
    assert not Identity(app="default").expired(10**15)
