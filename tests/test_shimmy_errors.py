"""One shape and four codes for everything that can go wrong under /api and /ws."""

import pytest

from app import errors
from app.access import Forbidden
from app.errors import (
    AuthenticationFailed,
    ConfigError,
    Draining,
    GatewayError,
    InvalidRequest,
    ModelNotFound,
    UpstreamError,
    UpstreamTimeout,
    UpstreamTruncated,
    UpstreamUnreachable,
)
from app.local_models.errors import LocalModelsMissing, ModelLoadFailed, ModelLoading
from app.shimmy_errors import code_of, error_body

CODES = [
    (ModelNotFound("x"), "model_not_found", 404),
    (UpstreamError("x", status=404, code="model_not_found"), "model_not_found", 404),
    (UpstreamError("x", status=404, code="not_found"), "invalid_request", 404),
    (InvalidRequest("x"), "invalid_request", 400),
    (InvalidRequest("x", status=405), "invalid_request", 405),
    (AuthenticationFailed("x"), "invalid_request", 401),
    (Forbidden("x"), "invalid_request", 403),
    (UpstreamError("x", status=400), "invalid_request", 400),
    (UpstreamError("x", status=401, code="invalid_api_key"), "generation_failed", 401),
    (UpstreamError("x", status=429, code="rate_limit_exceeded"), "generation_failed", 429),
    (UpstreamError("x", status=500), "generation_failed", 500),
    (UpstreamUnreachable("x"), "generation_failed", 502),
    (UpstreamTimeout("x"), "generation_failed", 504),
    (UpstreamTruncated("x"), "generation_failed", 502),
    (ModelLoadFailed("x"), "generation_failed", 500),
    (ModelLoading("x"), "server_error", 503),
    (LocalModelsMissing(), "server_error", 501),
    (Draining(), "server_error", 503),
    (ConfigError("x"), "server_error", 500),
    (GatewayError("x"), "server_error", 500),
]


@pytest.mark.parametrize(("error", "code", "status"), CODES, ids=lambda value: type(value).__name__)
def test_every_error_has_one_of_the_four_codes(error, code, status):
    assert (code_of(error), error.status) == (code, status)
    assert set(error_body(error)["error"]) == {"code", "message", "details"}


def test_no_kind_of_error_was_forgotten():
    def tree(kind):
        yield kind
        for below in kind.__subclasses__():
            yield from tree(below)

    named = {type(error) for error, _, _ in CODES}
    own = {kind for kind in tree(GatewayError) if kind.__module__ in (errors.__name__, "app.local_models.errors")}
    assert own - named <= {errors.RequestTimeout, errors.RequestTooLarge, errors.ClientGone}


def test_details_name_what_happened_and_where():
    error = InvalidRequest("`n` must be 1.", param="n", code="invalid_value")
    assert error_body(error) == {
        "error": {"code": "invalid_request", "message": "`n` must be 1.", "details": "invalid_value in `n`"}
    }
    assert error_body(GatewayError("x"))["error"]["details"] == "server_error"


def test_keys_are_masked():
    error = UpstreamError("the key sk-1 is wrong", code="sk-1")
    assert "sk-1" not in str(error_body(error, lambda text: text.replace("sk-1", "…")))


REQUESTS = [
    ("GET", "/api/nowhere", None, 404, "invalid_request", "unknown_url"),
    ("GET", "/api", None, 404, "invalid_request", "unknown_url"),
    ("GET", "/ws/nowhere", None, 404, "invalid_request", "unknown_url"),
    ("GET", "/api/generate", None, 405, "invalid_request", "method_not_allowed"),
    ("POST", "/api/generate", b"{", 400, "invalid_request", "invalid_json"),
    ("POST", "/api/generate", b"", 400, "invalid_request", "invalid_json"),
    ("POST", "/api/generate", [], 400, "invalid_request", "invalid_type"),
    ("POST", "/api/generate", {"model": "nix", "prompt": "x"}, 404, "model_not_found", "model_not_found in `model`"),
    ("GET", "/api/models/nix/status", None, 404, "model_not_found", "model_not_found in `model`"),
    ("POST", "/api/models/nix/load", None, 404, "model_not_found", "model_not_found in `model`"),
    ("POST", "/api/models/nix/unload", None, 404, "model_not_found", "model_not_found in `model`"),
    ("POST", "/api/show", {"model": 5}, 400, "invalid_request", "missing_required_parameter in `model`"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code", "details"), REQUESTS)
def test_over_http(serve, method, path, body, status, code, details):
    reply = serve({"m": {"options": {"engine": "mock"}, "models": {"mock": {}}}}).request(method, path, body)
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.json) == {"error"} and set(reply.json["error"]) == {"code", "message", "details"}
    assert (reply.json["error"]["code"], reply.json["error"]["details"]) == (code, details)
    assert reply.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("path", ["/apis/x", "/v1/nowhere", "/nowhere", "/wsx"])
def test_elsewhere_the_shape_is_openais(serve, path):
    assert serve({}).get(path).error["code"] == "unknown_url"


def test_a_bug_is_told_in_this_shape_too(serve):
    gateway = serve({})
    gateway.app.config["PROPAGATE_EXCEPTIONS"] = False
    gateway.app.add_url_rule("/api/broken", view_func=lambda: 1 // 0)
    reply = gateway.get("/api/broken")
    error = reply.json["error"]
    assert (reply.status, error["code"], error["details"]) == (500, "server_error", "internal_error")
    assert b"ZeroDivision" not in reply.raw


def test_a_body_that_is_too_large(serve):
    reply = serve({}, GATEWAY_MAX_BODY_BYTES="1024").post("/api/generate", {"prompt": "x" * 2000})
    assert (reply.status, reply.json["error"]["details"]) == (413, "request_too_large")
