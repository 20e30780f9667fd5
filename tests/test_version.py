"""The version is said in one place, and everywhere."""

import re

from app.version import USER_AGENT, VERSION
from tests.answers import completion


def test_the_version_has_three_numbers():
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


def test_upstreams_are_told_who_asks(gateway, upstream):
    upstream.reply_json(completion())
    assert gateway.chat().status == 200
    assert upstream.requests[0].headers["user-agent"] == USER_AGENT == f"opencode-gateway/{VERSION}"


def test_clients_are_told(client_for):
    assert client_for("relay").get("/").json["version"] == VERSION
