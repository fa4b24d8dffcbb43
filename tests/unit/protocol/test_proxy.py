"""The AWS_PROXY event, member for member (protocols.md 1.4), and what an answer to it says (1.5)."""

import json

import pytest

from parley.protocol import proxy
from parley.protocol.policy import granted

NOW = 1705751700453
CALLER = proxy.Caller(
    connection="R1kmxc2VNjMCFIA=",
    api="shop",
    stage="prod",
    domain="localhost:7070",
    address="203.0.113.7",
    agent="UA",
    connected_at=1705751697419,
)
HANDSHAKE = proxy.Handshake(
    headers={"host": "localhost:7070", "sec-websocket-key": "k==", "x-forwarded-for": "203.0.113.7", "auth": "a"},
    query=(("room", "1"), ("room", "2"), ("empty", "")),
)


def context(**members):
    return members | {
        "messageDirection": "IN",
        "extendedRequestId": "R=",
        "requestId": "R=",
        "requestTime": "20/Jan/2024:11:55:00 +0000",
        "requestTimeEpoch": NOW,
        "connectedAt": 1705751697419,
        "connectionId": "R1kmxc2VNjMCFIA=",
        "stage": "prod",
        "domainName": "localhost:7070",
        "apiId": "shop",
        "identity": {"sourceIp": "203.0.113.7", "userAgent": "UA"},
    }


def test_connect():
    headers = {"Host": "localhost:7070", "Sec-WebSocket-Key": "k==", "X-Forwarded-For": "203.0.113.7", "Auth": "a"}
    assert proxy.connect(CALLER, HANDSHAKE, "R=", NOW) == {
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {"room": "2", "empty": ""},
        "multiValueQueryStringParameters": {"room": ["1", "2"], "empty": [""]},
        "requestContext": context(routeKey="$connect", eventType="CONNECT"),
        "isBase64Encoded": False,
    }


def test_connect_without_a_query_has_no_members_for_it():
    event = proxy.connect(CALLER, proxy.Handshake(headers={}, query=()), "R=", NOW)
    assert set(event) == {"headers", "multiValueHeaders", "requestContext", "isBase64Encoded"}


def test_message_has_neither_headers_nor_a_query():
    assert proxy.message(CALLER, "joinRoom", '{"action":"joinRoom"}', "R=", NOW) == {
        "requestContext": context(routeKey="joinRoom", messageId="R=", eventType="MESSAGE"),
        "body": '{"action":"joinRoom"}',
        "isBase64Encoded": False,
    }


def test_disconnect():
    headers = {"Host": "localhost:7070", "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""}
    assert proxy.disconnect(CALLER, 1001, "", "R=", NOW) == {
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "requestContext": context(
            routeKey="$disconnect", eventType="DISCONNECT", disconnectStatusCode=1001, disconnectReason=""
        ),
        "isBase64Encoded": False,
    }


def test_an_authorizer_is_asked_about_the_connect_route():
    event = proxy.authorize(CALLER, HANDSHAKE, "R=", NOW, "us-east-1", "000000000000")

    assert event["type"] == "REQUEST"
    assert event["methodArn"] == "arn:aws:execute-api:us-east-1:000000000000:shop/prod/$connect"
    assert (event["stageVariables"], event["queryStringParameters"]["room"]) == ({}, "2")


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"", 200, ""),
        (b"null", 200, ""),
        (b"{}", 200, ""),
        (b'{"statusCode":"201","body":"x"}', 201, "x"),
        (b'{"statusCode":401,"body":null,"headers":null,"isBase64Encoded":false}', 401, ""),
    ],
)
def test_an_answer(answer, status, body):
    result = proxy.result(answer)
    assert (result.status, result.body) == (status, body)


@pytest.mark.parametrize(
    "answer",
    [
        b"text",
        b"[]",
        b'"ok"',
        b'{"Data":1,"statusCode":200}',
        b'{"statusCode":"x"}',
        b'{"statusCode":"%b"}' % (b"9" * 5000),
        b'{"statusCode":7}',
        b'{"statusCode":true}',
        b'{"body":{}}',
        b'{"headers":[1]}',
    ],
)
def test_no_answer(answer):
    with pytest.raises(proxy.Malformed):
        proxy.result(answer)


ARN = "arn:aws:execute-api:us-east-1:000000000000:shop/prod/$connect"


def policy(*statements, **more):
    return json.dumps(
        {"principalId": "me", "policyDocument": {"Version": "2012-10-17", "Statement": list(statements)}} | more
    ).encode()


def statement(effect="Allow", action="execute-api:Invoke", resource=ARN):
    return {"Effect": effect, "Action": action, "Resource": resource}


@pytest.mark.parametrize(
    "said",
    [
        statement(),
        statement(resource="*"),
        statement(resource="arn:aws:execute-api:*:*:shop/prod/*"),
        statement(action=["other", "execute-api:*"], resource=["x", ARN]),
        statement(action="EXECUTE-API:invoke"),
    ],
)
def test_a_policy_that_allows(said):
    allowed = granted(policy(said, context={"n": 1, "yes": True, "text": "t", "none": None}), ARN)
    assert allowed is not None
    assert allowed.context == {"principalId": "me", "n": "1", "yes": "true", "text": "t"}


@pytest.mark.parametrize(
    "answer",
    [
        policy(),
        policy(statement("Deny")),
        policy(statement(), statement("Deny")),
        policy(statement(), statement(["Deny"])),
        policy(statement(resource="arn:aws:execute-api:us-east-1:000000000000:other/prod/$connect")),
        policy(statement(action="execute-api:ManageConnections")),
        policy(statement(), context={"nested": {}}),
        policy(statement(), context={"long": "x" * 8192}),
        b"{}",
        b"no",
        b'{"principalId":"me"}',
    ],
)
def test_all_else_lets_nobody_in(answer):
    assert granted(answer, ARN) is None
