"""Route selection expressions (protocols.md 1.3)."""

import pytest

from parley.protocol.dialects.selection import Selection


@pytest.mark.parametrize(
    ("expression", "body", "key"),
    [
        ("$request.body.action", {"action": "joinRoom"}, "joinRoom"),
        ("request.body.action", {"action": "joinRoom"}, "joinRoom"),
        ("${request.body.action}", {"action": "joinRoom"}, "joinRoom"),
        ("${request.body.service}/${request.body.action}", {"service": "chat", "action": "post"}, "chat/post"),
        ("${request.body.service}/${request.body.action}", {"action": "post"}, "/post"),
        ("v1-${request.body.action}!", {"action": "post"}, "v1-post!"),
        ("$request.body.service.do", {"service": {"do": "it"}}, "it"),
        ("$request.body['a b'][1].c", {"a b": [0, {"c": "x"}]}, "x"),
        ("$request.body.action", {}, ""),
        ("$request.body.action", [1], ""),
        ("$request.body.action", "text", ""),
        ("$request.body.action", {"action": None}, ""),
        ("$request.body.action", {"action": ["a", "b"]}, "[a, b]"),
        ("$request.body.action", {"action": 12}, "12"),
        ("$request.body.action", {"action": True}, "true"),
        ("$request.body.list[7]", {"list": [1]}, ""),
        (r"\$default", {"action": "x"}, "$default"),
        ("constant", {"action": "x"}, "constant"),
    ],
)
def test_it_selects(expression, body, key):
    assert Selection(expression).select(body) == key


@pytest.mark.parametrize(
    "expression", ["$request.body.a[", "${request.header.a}", "$request.body a", "${request.body.a"]
)
def test_what_is_none_is_refused(expression):
    with pytest.raises(ValueError, match=r"path|variable"):
        Selection(expression)
