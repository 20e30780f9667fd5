"""Refusals of every upstream -> one error of OpenAI's shape."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import error_body
from app.quirks.errors import JOINER, TurnUnusable, map_upstream_error, retry_headers, stray_digits

RETRIED = re.compile(r"429|500|502|503|504|524")
TOO_LONG = "The input token count (1048600) exceeds the maximum number of tokens allowed (1048576)."


def google(code: int, message: str, status: str, *details: dict) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36.4s"}
PER_DAY = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}

# name: (status, body, status, type, code, message)
TABLE: dict[str, tuple[int | None, object, int, str, str, str]] = {
    "a list (Gemini)": (
        400,
        [google(400, "Bad thing.", "INVALID_ARGUMENT")],
        400,
        "invalid_request_error",
        "invalid_request",
        "Bad thing.",
    ),
    "OpenAI's own": (
        404,
        {
            "error": {
                "message": "The model `x` does not exist",
                "type": "invalid_request_error",
                "param": None,
                "code": "model_not_found",
            }
        },
        404,
        "invalid_request_error",
        "model_not_found",
        "The model `x` does not exist",
    ),
    "model (Gemini)": (
        404,
        [google(404, "models/x is not found for API version v1main", "NOT_FOUND")],
        404,
        "invalid_request_error",
        "model_not_found",
        "models/x is not found for API version v1main",
    ),
    "no such path": (404, {"detail": "Not Found"}, 404, "invalid_request_error", "not_found", "Not Found"),
    "too long": (
        400,
        [google(400, TOO_LONG, "INVALID_ARGUMENT")],
        400,
        "invalid_request_error",
        "context_length_exceeded",
        TOO_LONG,
    ),
    "too long (vLLM)": (
        400,
        {"error": {"message": "However, the model's context length is only 4096 tokens", "code": 400}},
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "However, the model's context length is only 4096 tokens",
    ),
    "key": (
        400,
        [google(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", BAD_KEY)],
        401,
        "authentication_error",
        "invalid_api_key",
        "API key not valid. Please pass a valid API key.",
    ),
    "key (Perplexity)": (
        401,
        {"error": {"message": "Invalid API key provided.", "type": "invalid_api_key", "code": 401}},
        401,
        "authentication_error",
        "invalid_api_key",
        "Invalid API key provided.",
    ),
    "no right": (403, [google(403, "No.", "PERMISSION_DENIED")], 403, "permission_error", "permission_denied", "No."),
    "rate": (
        429,
        [google(429, "Slow down.", "RESOURCE_EXHAUSTED")],
        429,
        "rate_limit_error",
        "rate_limit_exceeded",
        "Slow down.",
    ),
    "daily quota": (
        429,
        [google(429, "Quota.", "RESOURCE_EXHAUSTED", PER_DAY, RETRY_INFO)],
        429,
        "insufficient_quota",
        "insufficient_quota",
        "Quota.",
    ),
    "quota (OpenAI)": (
        429,
        {"error": {"message": "You exceeded", "type": "insufficient_quota", "code": "insufficient_quota"}},
        429,
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded",
    ),
    "overloaded": (
        503,
        [google(503, "The model is overloaded. Please try again later.", "UNAVAILABLE")],
        503,
        "server_error",
        "overloaded",
        "The model is overloaded. Please try again later.",
    ),
    "internal": (
        500,
        [google(500, "Internal error.", "INTERNAL")],
        500,
        "server_error",
        "internal_error",
        "Internal error.",
    ),
    "overloaded (Anthropic)": (
        529,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        503,
        "server_error",
        "overloaded",
        "Overloaded",
    ),
    "Ollama": (
        400,
        {"error": "model requires more memory"},
        400,
        "invalid_request_error",
        "invalid_request",
        "model requires more memory",
    ),
    "FastAPI": (
        422,
        {"detail": [{"loc": ["body", "model"], "msg": "Field required", "type": "missing"}]},
        422,
        "invalid_request_error",
        "invalid_request",
        "body.model: Field required",
    ),
    "a message": (400, {"message": "no"}, 400, "invalid_request_error", "invalid_request", "no"),
    "text": (400, "no", 400, "invalid_request_error", "invalid_request", "no"),
    "JSON in JSON (Bedrock)": (
        400,
        {"error": {"message": json.dumps({"error": {"message": "no images"}}), "code": "validation_error"}},
        400,
        "invalid_request_error",
        "validation_error",
        "no images",
    ),
    "bytes": (400, b'[{"error":{"message":"no"}}]', 400, "invalid_request_error", "invalid_request", "no"),
    "a page": (
        502,
        "<!DOCTYPE html><html><style>b{}</style><body><h1>Bad&nbsp;gateway</h1>nginx</body></html>",
        502,
        "server_error",
        "bad_gateway",
        "The upstream answered with a web page: Bad gateway nginx",
    ),
    "a page with 200": (
        200,
        b"<html><body>Sign in</body></html>",
        502,
        "server_error",
        "bad_gateway",
        "The upstream answered with a web page: Sign in",
    ),
    "inside a stream": (
        None,
        google(429, "Slow down.", "RESOURCE_EXHAUSTED"),
        429,
        "rate_limit_error",
        "rate_limit_exceeded",
        "Slow down.",
    ),
    "inside a stream, type only": (
        None,
        {"error": {"type": "overloaded_error", "message": "Overloaded"}},
        503,
        "server_error",
        "overloaded",
        "Overloaded",
    ),
    "inside a stream, code as text": (
        None,
        {"error": {"code": "503", "message": "x"}},
        503,
        "server_error",
        "overloaded",
        "x",
    ),
    "inside a stream, Groq": (
        None,
        {"error": {"message": "x", "type": "invalid_request_error", "code": "tool_use_failed", "status_code": 400}},
        400,
        "invalid_request_error",
        "tool_use_failed",
        "x",
    ),
    "inside a stream, nothing": (None, {"error": "boom"}, 502, "server_error", "bad_gateway", "boom"),
    "200 with an error": (
        200,
        {"error": {"code": 429, "message": "x"}},
        429,
        "rate_limit_error",
        "rate_limit_exceeded",
        "x",
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_errors_are_mapped(name: str) -> None:
    given_status, body, status, kind, code, message = TABLE[name]
    error = map_upstream_error(given_status, {"x": "y"}, body)
    assert (error.status, error.type, error.code, str(error)) == (status, kind, code, message)
    assert error.upstream_status == given_status and error.upstream_headers == {"x": "y"}
    assert isinstance(error.upstream_body, bytes)


@pytest.mark.parametrize(
    "body", [b"", "", None, [], {}, {"error": {}}, {"error": None}, [None], b"\xff\xfe", {"error": [1]}]
)
@pytest.mark.parametrize("status", [400, 404, 429, 500, 503, None])
def test_a_body_that_says_nothing_still_gives_words(body: object, status: int | None) -> None:
    error = map_upstream_error(status, {}, body)
    assert str(error) and error.status == (status or 502) and error.code


WAITS = [
    ({}, google(429, "x", "RESOURCE_EXHAUSTED", RETRY_INFO), {"Retry-After": "37", "retry-after-ms": "36400"}),
    (
        {},
        google(429, "Please retry in 26.66s.", "RESOURCE_EXHAUSTED"),
        {"Retry-After": "27", "retry-after-ms": "26660"},
    ),
    ({}, google(429, "Please try again in 7m12s.", "x"), {"Retry-After": "60", "retry-after-ms": "60000"}),
    ({}, google(429, "Please try again in 380ms.", "x"), {"Retry-After": "1", "retry-after-ms": "380"}),
    ({"retry-after": "2"}, google(429, "x", "x", RETRY_INFO), {"Retry-After": "2", "retry-after-ms": "2000"}),
    ({"Retry-After-Ms": "700"}, {}, {"Retry-After": "1", "retry-after-ms": "700"}),
    ({"Retry-After": "99999"}, {}, {"Retry-After": "60", "retry-after-ms": "60000"}),
    ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, {}, {}),
    ({}, google(429, "x", "x"), {}),
    ({}, google(429, "x", "x", PER_DAY, RETRY_INFO), {}),
]


@pytest.mark.parametrize(("headers", "body", "expected"), WAITS)
def test_when_to_try_again_is_told_in_headers(headers: dict, body: object, expected: dict) -> None:
    assert map_upstream_error(429, headers, [body]).headers == expected


def test_a_400_has_no_time_to_try_again() -> None:
    assert map_upstream_error(400, {"Retry-After": "1"}, {}).headers == {}
    assert retry_headers(None) == {}


def test_digits_that_agents_take_for_passing_errors_are_broken() -> None:
    message = map_upstream_error(
        400, {}, {"error": {"message": "No. Request req_7f5003ab, 1500231 tokens, HTTP 503"}}
    ).args[0]
    assert message == f"No. Request (id), 15{JOINER}00231 tokens, HTTP 5{JOINER}03"
    assert "503" in str(map_upstream_error(503, {}, {"message": "HTTP 503"}))
    assert "429" in str(map_upstream_error(429, {}, {"message": "HTTP 429"}))


@given(st.text("0234512 req_-ab", max_size=60))
def test_no_text_keeps_such_digits_and_nothing_else_is_lost(text: str) -> None:
    cleaned = stray_digits(text)
    assert not RETRIED.search(cleaned)
    if "req" not in text:
        assert cleaned.replace(JOINER, "") == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "code", "status", "type", "details", "msg", "x"]), inner
        )
    ),
    max_leaves=12,
)


@given(json_values, st.sampled_from([None, 200, 400, 401, 404, 422, 429, 500, 529]))
def test_any_body_gives_an_error_of_openais_shape(body: object, status: int | None) -> None:
    error = map_upstream_error(status, {}, body)
    shown = error_body(error)["error"]
    assert 400 <= error.status <= 599
    assert shown["message"] and isinstance(shown["type"], str) and isinstance(shown["code"], str)
    json.dumps(shown).encode()


def test_an_unusable_turn_is_an_upstream_error_that_may_be_tried_again() -> None:
    error = TurnUnusable("empty answer", kind="empty")
    assert (error.status, error.code, error.kind, error.reason, error.retryable) == (
        502,
        "upstream_unusable",
        "empty",
        "empty answer",
        True,
    )


@pytest.mark.parametrize("text", ["[" * 100_000, '{"error":' * 100_000])
def test_a_body_that_nests_without_end_is_told_as_it_is(text):
    error = map_upstream_error(502, {}, text.encode())
    assert error.status == 502 and str(error).startswith(text[:9])


NO_STATUS = ("\u00b9", "\u0664\u0662\u0669", "9" * 5000, float("nan"), float("inf"), True, "", -1, 429.5)


@pytest.mark.parametrize("code", NO_STATUS)
def test_a_code_that_is_no_status_is_none(code: object) -> None:
    assert map_upstream_error(None, {}, {"error": {"message": "no", "code": code}}).status == 502
    assert map_upstream_error(None, {}, json.dumps({"code": code}).encode()).status == 502
    assert map_upstream_error(None, {}, {"error": {"message": "no", "code": 429.0}}).status == 429
    assert map_upstream_error(None, {}, {"error": {"message": "no", "code": "429"}}).status == 429


@pytest.mark.parametrize("body", [b"null", b'""', b"{}", b"[]", b" null\n", b""])
def test_a_body_that_says_nothing_is_no_message(body: bytes) -> None:
    assert map_upstream_error(None, {}, body).args == map_upstream_error(None, {}, b"").args
