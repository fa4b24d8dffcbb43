"""What a signature of AWS's kind proves, with the published vectors and AWS's own signer as judges."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from parley.kit.sigv4 import (
    SKEW_SECONDS,
    BadSignature,
    Fault,
    Signed,
    Signer,
    check_headers,
    check_query,
    signer_in_headers,
    signer_in_query,
)

KEYS = {"AKIDANA": "ana's secret", "AKIA4F7WJQR7FMMWMNXI": "FakeSecretKey"}
VECTOR_TIME = datetime(2019, 12, 1, tzinfo=UTC).timestamp()
VECTOR = {
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": "AKIA4F7WJQR7FMMWMNXI/20191201/us-west-2/kinesisvideo/aws4_request",
    "X-Amz-Date": "20191201T000000Z",
    "X-Amz-Expires": "299",
    "X-Amz-SignedHeaders": "host",
    "X-Amz-TestParam": "test-param-value",
}


def vector(path: str = "", host: str = "kvs.awsamazon.com", **said: str) -> Signed:
    pairs = [f"{name}={quote(value, safe='')}" for name, value in ({**VECTOR} | said).items()]
    return Signed("GET", path, "&".join(pairs), {"host": host})


def in_query(request: Signed, now: float = VECTOR_TIME) -> Signer:
    return check_query(request, KEYS.get, service="kinesisvideo", now=now)


def signed(
    url: str, body: bytes = b"", *, method: str = "POST", service: str = "execute-api", **headers: str
) -> tuple[Signed, float]:
    """Return what boto3 would send, and when."""
    request = AWSRequest(method=method, url=url, data=body, headers=headers)
    SigV4Auth(Credentials("AKIDANA", KEYS["AKIDANA"]), service, "eu-central-1").add_auth(request)
    parts = urlsplit(url)
    sent = {name.lower(): value for name, value in request.headers.items()} | {"host": parts.netloc}
    now = datetime.strptime(sent["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    return Signed(method, parts.path, parts.query, sent, body), now


def in_headers(request: Signed, now: float, service: str = "execute-api") -> Signer:
    return check_headers(request, KEYS.get, service=service, now=now)


def fault(check: Any, *arguments: Any) -> Fault:
    with pytest.raises(BadSignature) as refused:
        check(*arguments)
    return refused.value.fault


class TestInTheQuery:
    SIGNATURE = "be1e78950d956a8a9a1997417099ddbd7455619f3d08c4ad20e1e272179ca695"

    def good(self, **said: str) -> Signed:
        return vector(**{"X-Amz-Signature": self.SIGNATURE} | said)

    @pytest.mark.parametrize(
        ("path", "said", "signature"),
        [
            ("", {}, SIGNATURE),
            (
                "",
                {"X-Amz-Security-Token": "FakeSessionToken"},
                "fc268038be276315822b4f73eafd28ee3a5632a2a35fdb0a88db9a42b13d6c92",
            ),
            (
                "/path/path/path",
                {"X-Amz-Security-Token": "FakeSessionToken"},
                "0bf3df6ca23d8d82f688e8dbfb90d69e74843d40038541b1721c545eef7612a4",
            ),
        ],
    )
    def test_the_published_vectors_are_good(self, path: str, said: dict[str, str], signature: str) -> None:
        signer = in_query(vector(path, **said | {"X-Amz-Signature": signature}))

        assert signer == Signer("AKIA4F7WJQR7FMMWMNXI", "20191201", "us-west-2", "kinesisvideo")

    @pytest.mark.parametrize("position", range(7))
    def test_a_change_of_any_parameter_is_noticed(self, position: int) -> None:
        request = self.good()
        pairs = request.query.split("&")
        pairs[position] += "0"

        assert fault(in_query, Signed("GET", "", "&".join(pairs), request.headers)) in Fault
        assert fault(in_query, Signed("GET", "/other", request.query, request.headers)) is Fault.SIGNATURE

    def test_it_holds_for_as_long_as_it_says_and_clocks_may_differ_a_little(self) -> None:
        expires = 299

        in_query(self.good(), VECTOR_TIME + expires + SKEW_SECONDS)
        in_query(self.good(), VECTOR_TIME - SKEW_SECONDS)

        assert fault(in_query, self.good(), VECTOR_TIME + expires + SKEW_SECONDS + 1) is Fault.EXPIRED
        assert fault(in_query, self.good(), VECTOR_TIME - SKEW_SECONDS - 1) is Fault.EXPIRED

    def test_the_host_may_be_the_forwarded_one_or_carry_the_usual_port(self) -> None:
        request = self.good()

        for headers in (
            {"host": "kvs.awsamazon.com:443"},
            {"host": "10.0.0.1:8080", "x-forwarded-host": "kvs.awsamazon.com"},
        ):
            in_query(Signed("GET", "", request.query, headers))
        for headers in ({"host": "kvs.awsamazon.com:8443"}, {"host": "other"}, {}):
            assert fault(in_query, Signed("GET", "", request.query, headers)) is Fault.SIGNATURE

    def test_a_port_that_was_signed_and_not_sent_is_supplied(self) -> None:
        request = AWSRequest(method="GET", url="https://h:443/?X-Amz-ChannelARN=arn%3Aaws")
        request.headers["host"] = "h:443"
        SigV4QueryAuth(Credentials("AKIDANA", KEYS["AKIDANA"]), "kinesisvideo", "eu-west-1", expires=60).add_auth(
            request
        )
        query = urlsplit(request.url).query

        signer = in_query(Signed("GET", "/", query, {"host": "h"}), datetime.now(UTC).timestamp())

        assert signer.key == "AKIDANA"

    @pytest.mark.parametrize(
        ("said", "why"),
        [
            ({"X-Amz-Credential": "NOBODY/20191201/us-west-2/kinesisvideo/aws4_request"}, Fault.UNKNOWN_KEY),
            ({"X-Amz-Credential": "AKIDANA/20191201/us-west-2/kinesisvideo/aws4_request"}, Fault.SIGNATURE),
            ({"X-Amz-Credential": "AKIDANA/20191201/us-west-2/execute-api/aws4_request"}, Fault.SIGNATURE),
            ({"X-Amz-Credential": "AKIDANA/20191202/us-west-2/kinesisvideo/aws4_request"}, Fault.MALFORMED),
            ({"X-Amz-Credential": "AKIDANA"}, Fault.MALFORMED),
            ({"X-Amz-Algorithm": "AWS4-HMAC-SHA1"}, Fault.MALFORMED),
            ({"X-Amz-Date": "20191201"}, Fault.MALFORMED),
            ({"X-Amz-Date": "20191201T996199Z"}, Fault.MALFORMED),
            ({"X-Amz-Expires": "0"}, Fault.MALFORMED),
            ({"X-Amz-Expires": "604801"}, Fault.MALFORMED),
            ({"X-Amz-Expires": "-1"}, Fault.MALFORMED),
            ({"X-Amz-SignedHeaders": "date"}, Fault.MALFORMED),
            ({"X-Amz-Signature": "é"}, Fault.SIGNATURE),
            ({"X-Amz-Signature": ""}, Fault.SIGNATURE),
        ],
    )
    def test_what_is_wrong_has_a_name(self, said: dict[str, str], why: Fault) -> None:
        assert fault(in_query, self.good(**said)) is why

    def test_a_parameter_of_the_signature_is_said_once(self) -> None:
        request = self.good()

        twice = Signed("GET", "", f"{request.query}&X-Amz-Date=20191201T000000Z", request.headers)
        assert fault(in_query, twice) is Fault.MALFORMED
        assert fault(in_query, vector()) is Fault.MISSING

    def test_who_claims_to_have_signed_can_be_read_without_any_secret(self) -> None:
        assert signer_in_query(self.good(**{"X-Amz-Signature": "x"}).query).key == "AKIA4F7WJQR7FMMWMNXI"

    @given(st.text(max_size=300))
    def test_junk_is_refused(self, query: str) -> None:
        assert fault(in_query, Signed("GET", "/", query, {"host": "h"})) in Fault


class TestInTheHeaders:
    URL = "http://127.0.0.1:18081/prod/@connections/R0oXAdfD0kwCH6w%3D"

    @pytest.mark.parametrize(
        "url",
        [
            URL,
            "http://127.0.0.1:18081/prod/%40connections/R0oXAdfD0kwCH6w%3D",
            "http://127.0.0.1:18081/prod/@connections/R0oXAdfD0kwCH6w=",
            "https://parley.example/@connections/a%2Fb%20c",
            "https://parley.example/prod//@connections/a%3D",
            "https://parley.example/p?b=2&a=1&a=%20",
            "https://parley.example/?flag",
        ],
    )
    def test_what_botos_own_signer_signs_is_good(self, url: str) -> None:
        request, now = signed(url, b"\x00hello\xff")

        signer = in_headers(request, now)

        assert (signer.key, signer.region) == ("AKIDANA", "eu-central-1")

    def test_more_headers_than_host_may_be_signed(self) -> None:
        request, now = signed(
            self.URL, b"hello", **{"Content-Type": "application/octet-stream", "X-Amz-User-Agent": "aws  sdk "}
        )

        in_headers(request, now)
        other = {**request.headers, "content-type": "text/plain"}

        assert fault(in_headers, Signed("POST", request.path, "", other, b"hello"), now) is Fault.SIGNATURE

    def test_another_body_path_method_query_or_host_is_another_request(self) -> None:
        request, now = signed(self.URL, b"hello")
        method, path, headers, body = request.method, request.path, request.headers, request.body

        for other in (
            Signed(method, path, "", headers, b"hullo"),
            Signed(method, path.replace("%3D", "="), "", headers, body),
            Signed("DELETE", path, "", headers, body),
            Signed(method, path, "a=1", headers, body),
            Signed(method, path, "", {**headers, "host": "127.0.0.1"}, body),
        ):
            assert fault(in_headers, other, now) is Fault.SIGNATURE

    def test_the_hash_of_the_body_that_is_named_must_be_the_bodys(self) -> None:
        request, now = signed(self.URL, b"hello", **{"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})

        assert fault(in_headers, request, now) is Fault.SIGNATURE

    def test_it_holds_for_five_minutes_either_way(self) -> None:
        request, now = signed(self.URL)

        in_headers(request, now + SKEW_SECONDS)
        in_headers(request, now - SKEW_SECONDS)

        assert fault(in_headers, request, now + SKEW_SECONDS + 1) is Fault.EXPIRED
        assert fault(in_headers, request, now - SKEW_SECONDS - 1) is Fault.EXPIRED

    def test_another_service_another_key_and_no_signature_are_told_apart(self) -> None:
        request, now = signed(self.URL)
        nobody = {**request.headers, "authorization": request.headers["authorization"].replace("AKIDANA", "NOBODY")}

        assert fault(in_headers, request, now, "kinesisvideo") is Fault.SIGNATURE
        assert fault(in_headers, Signed("POST", request.path, "", nobody), now) is Fault.UNKNOWN_KEY
        assert fault(in_headers, Signed("POST", request.path, "", {"host": "h"}), now) is Fault.MISSING
        bearer = {"host": "h", "authorization": "Bearer x"}
        assert fault(in_headers, Signed("POST", request.path, "", bearer), now) is Fault.MISSING

    def test_who_claims_to_have_signed_can_be_read_without_any_secret(self) -> None:
        request, _ = signed(self.URL)

        assert signer_in_headers(request.headers).key == "AKIDANA"

    @given(st.text(max_size=200))
    def test_junk_is_refused(self, text: str) -> None:
        headers = {"host": "h", "authorization": f"AWS4-HMAC-SHA256 {text}", "x-amz-date": "20191201T000000Z"}

        assert fault(in_headers, Signed("POST", "/", "", headers), VECTOR_TIME) in Fault
