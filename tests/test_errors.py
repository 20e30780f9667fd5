"""The one tree of errors, and its one shape."""

import http.client

import pytest
from flask import Flask
from werkzeug.exceptions import BadRequest, Forbidden, ServiceUnavailable

from app import errors
from app.errors import (
    AuthenticationFailed,
    ClientGone,
    ConfigError,
    Draining,
    GatewayError,
    InvalidRequest,
    ModelNotFound,
    RequestTimeout,
    RequestTooLarge,
    UpstreamError,
    UpstreamTimeout,
    UpstreamTruncated,
    UpstreamUnreachable,
    error_body,
)
from tests.client import checked_error

TREE = {  # class: (parent, status, type, code)
    GatewayError: (Exception, 500, "server_error", None),
    InvalidRequest: (GatewayError, 400, "invalid_request_error", None),
    AuthenticationFailed: (InvalidRequest, 401, "authentication_error", "invalid_api_key"),
    ModelNotFound: (InvalidRequest, 404, "invalid_request_error", "model_not_found"),
    RequestTimeout: (InvalidRequest, 408, "invalid_request_error", "request_timeout"),
    RequestTooLarge: (InvalidRequest, 413, "invalid_request_error", "request_too_large"),
    ConfigError: (GatewayError, 500, "server_error", "config_error"),
    ClientGone: (GatewayError, 499, "server_error", "client_closed_request"),
    UpstreamError: (GatewayError, 502, "server_error", None),
    UpstreamUnreachable: (UpstreamError, 502, "server_error", "upstream_unreachable"),
    UpstreamTimeout: (UpstreamError, 504, "server_error", "upstream_timeout"),
    UpstreamTruncated: (UpstreamError, 502, "server_error", "upstream_truncated"),
}


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_the_tree(kind):
    parent, status, type_, code = TREE[kind]
    error = kind("no")
    assert kind.__base__ is parent
    assert (error.status, error.type, error.code, error.param, error.headers) == (status, type_, code, None, {})
    assert error_body(error) == {"error": {"message": "no", "type": type_, "param": None, "code": code}}


def test_every_error_is_in_the_table():
    found, waiting = set(), [GatewayError]
    while waiting:
        kind = waiting.pop()
        if kind.__module__ == "app.errors":
            found.add(kind)
        waiting += kind.__subclasses__()
    assert found == {*TREE, Draining}


def test_the_docstring_draws_the_tree():
    for kind in TREE:
        assert kind.__name__ in (errors.__doc__ or "")


def test_what_is_said_overrules_the_class():
    error = GatewayError("no", param="p", code="c", status=418, type="t", headers={"Retry-After": "3"})
    assert (error.status, error.headers) == (418, {"Retry-After": "3"})
    assert error_body(error) == {"error": {"message": "no", "type": "t", "param": "p", "code": "c"}}
    assert GatewayError("no").headers == {}, "headers are not shared"


def test_no_field_quotes_a_key():
    error = GatewayError("key K", type="no K", param="K", code="bad K")
    told = error_body(error, lambda text: text.replace("K", "…"))
    assert told == {"error": {"message": "key …", "type": "no …", "param": "…", "code": "bad …"}}
    assert error_body(GatewayError("no"), str.upper)["error"]["param"] is None


def test_an_upstreams_words_are_kept():
    error = UpstreamError("no", upstream_status=429, upstream_body=b"x", upstream_headers={"Retry-After": "1"}, code="c")
    assert (error.upstream_status, error.upstream_body, error.upstream_headers) == (429, b"x", {"Retry-After": "1"})
    assert (error.status, error.code) == (502, "c")


def test_draining_says_when_to_come_back():
    error = Draining()
    assert (error.status, error.code, error.headers) == (503, "shutting_down", {"Retry-After": "1"})


@pytest.fixture
def client():
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1024
    errors.init_app(app)
    raised = {"gateway": RequestTooLarge("too much", headers={"Retry-After": "9"}), "bug": ZeroDivisionError("sk-secret"),
              "http": Forbidden(), "bad": BadRequest("odd"), "busy": ServiceUnavailable()}

    @app.post("/raise/<name>")
    def fail(name):
        raise raised[name]

    return app.test_client()


@pytest.mark.parametrize(("method", "path", "status", "code"), [
    ("POST", "/raise/gateway", 413, "request_too_large"), ("POST", "/raise/bug", 500, "internal_error"),
    ("POST", "/raise/http", 403, None), ("POST", "/raise/bad", 400, None), ("POST", "/raise/busy", 503, "internal_error"),
    ("POST", "/nowhere", 404, "unknown_url"), ("GET", "/raise/bug", 405, "method_not_allowed")])
def test_whatever_is_raised_leaves_in_one_shape(client, method, path, status, code):
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.mimetype) == (status, "application/json")
    assert checked_error(answer.json)["code"] == code
    assert "secret" not in answer.text and "Traceback" not in answer.text


def test_an_errors_headers_go_out(client):
    assert client.post("/raise/gateway").headers["Retry-After"] == "9"
    assert client.get("/raise/bug").headers["Allow"] == "POST"


# Over a real socket, where a client gets them. (method, path, body, headers, status, code)
REQUESTS = {
    "unknown path": ("GET", "/v2/nothing", None, {}, 404, "unknown_url"),
    "unknown path with a body": ("POST", "/v2/chat", b"{}", {}, 404, "unknown_url"),
    "wrong method": ("GET", "/v1/chat/completions", None, {}, 405, "method_not_allowed"),
    "another wrong method": ("DELETE", "/v1/models", None, {}, 405, "method_not_allowed"),
    "no body": ("POST", "/v1/chat/completions", None, {}, 400, "invalid_json"),
    "bad JSON": ("POST", "/v1/chat/completions", b'{"model": ', {}, 400, "invalid_json"),
    "no UTF-8": ("POST", "/v1/chat/completions", b'{"model": "\xff"}', {}, 400, "invalid_json"),
    "a form": ("POST", "/v1/chat/completions", b"model=m&stream=true",
               {"Content-Type": "application/x-www-form-urlencoded"}, 400, "invalid_json"),
    "null": ("POST", "/v1/chat/completions", b"null", {}, 400, "invalid_type"),
    "a list": ("POST", "/v1/chat/completions", b"[]", {}, 400, "invalid_type"),
    "a number": ("POST", "/v1/completions", b"7", {}, 400, "invalid_type"),
    "a packed body": ("POST", "/v1/chat/completions", b"\x1f\x8b", {"Content-Encoding": "gzip"}, 415, "unsupported_encoding"),
    "too large": ("POST", "/v1/chat/completions", b"[" + b"0," * 1024 + b"0]", {}, 413, "request_too_large"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_bad_request_is_answered_in_openais_shape(client_for, name):
    method, path, body, headers, status, code = REQUESTS[name]
    gateway = client_for("relay", GATEWAY_MAX_BODY_BYTES="1024")
    answer = gateway.request(method, path, body, headers)
    assert (answer.status, answer.error["code"]) == (status, code)
    assert answer.error["type"] == "invalid_request_error"
    assert answer.headers["x-request-id"].startswith("req_")


def test_a_too_large_body_without_a_length_is_refused_too(client_for):
    gateway = client_for("relay", GATEWAY_MAX_BODY_BYTES="1024")
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.request("POST", "/v1/chat/completions", iter([b"x" * 600] * 4), encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status in (400, 413)
    assert b'"error"' in answer.read()
    connection.close()
