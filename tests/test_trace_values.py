"""What passes a station is put into JSON-like values."""

import json
from types import SimpleNamespace

import pytest
from werkzeug.datastructures import Headers

from app.errors import UpstreamError
from app.quirks.report import Report
from app.trace_values import TARGET_FIELDS, describe_exception, parse, project, split_events


@pytest.mark.parametrize(
    ("data", "expected"),
    (
        (b"", []),
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b": ping\n\n", [b": ping"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: \n\n", []),
        (b"no event at all", [b"no event at all"]),
    ),
)
def test_events_are_split(data, expected):
    assert split_events(data) == expected


@pytest.mark.parametrize(("payload", "expected"), ((b'{"a": 1}', {"a": 1}), (b"[DONE]", None), (b"\xff", None), (b"", None)))
def test_parsing(payload, expected):
    assert parse(payload) == expected


def test_a_target_shows_its_known_fields_only():
    target = SimpleNamespace(model="m", engine_name="relay", api_key="k", something_else=object())
    assert project("resolved", target) == {"model": "m", "engine_name": "relay", "api_key": "k"}
    assert "something_else" not in TARGET_FIELDS
    assert project("resolved", {"model": "m", "x": 1}) == {"model": "m", "x": 1}


def test_headers_become_an_object():
    assert project("client_headers", Headers([("A", "1"), ("B", "2")])) == {"A": "1", "B": "2"}


def test_a_header_that_is_called_a_key_is_one():
    given = {"X-Corp-Token": "canary-0123456789", "Ocp-Apim-Subscription-Key": "canary-0123456789", "x-client-secret": "short",
             "X-RateLimit-Remaining-Tokens": "9000000000000", "Authorization": "Bearer canary-0123456789"}  # fmt: skip
    shown = {"X-Corp-Token": "cana…6789", "Ocp-Apim-Subscription-Key": "cana…6789", "x-client-secret": "…"}
    assert project("client_headers", given) == given | shown == project("client_headers", given | shown)
    assert describe_exception(UpstreamError("no", upstream_headers=given))["upstream_headers"] == given | shown


def test_a_report_shows_what_was_repaired():
    shown = project("repairs", Report())
    assert set(shown) == {"header", "counts", "entries"} and shown["entries"] == []
    assert json.dumps(shown)


def test_other_values_stay_as_they_are():
    body = {"a": 1}
    assert project("client_request", body) is body and project("repairs", "text") == "text"


def test_an_exception_is_put_into_words():
    error = ValueError("it broke")
    error.status, error.upstream_headers = 418, {"Retry-After": "1"}
    described = describe_exception(error)
    assert described["type"] == "ValueError" and described["message"] == "it broke" and described["status"] == 418
    assert described["upstream_headers"] == {"Retry-After": "1"} and "ValueError: it broke" in described["traceback"]
    assert "code" not in described
