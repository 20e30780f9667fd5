"""Every error the gateway can answer with, and its one OpenAI JSON shape; it does not know how a dialect words its errors.

GatewayError (500)
├── InvalidRequest (400)            the client sent something that cannot be served
│   ├── AuthenticationFailed (401)
│   ├── ModelNotFound (404)
│   ├── RequestTimeout (408)
│   └── RequestTooLarge (413)
├── ConfigError (500)               opencode.json or the environment is wrong
├── Draining (503)                  the server is stopping
├── ClientGone (499)                nobody waits for the answer any more
└── UpstreamError (502)             the upstream said no; its own status is passed on, since clients retry by status
    ├── UpstreamUnreachable (502)   refused, unknown host, TLS
    ├── UpstreamTimeout (504)       connect, first byte or idle limit
    └── UpstreamTruncated (502)     the connection ended before the answer did
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app.trace_values import describe_exception
from app.utils.json_text import dump

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}

log = logging.getLogger("gateway")


class GatewayError(Exception):
    """Base of all; `status` is HTTP's, `type`, `param` and `code` are OpenAI's, `headers` go out with the answer."""

    status: int = 500
    type: str = "server_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int | None = None,
        type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.param = param
        self.status = self.status if status is None else status
        self.type = self.type if type is None else type
        self.code = self.code if code is None else code
        self.headers: dict[str, str] = dict(headers or {})


class InvalidRequest(GatewayError):
    status, type = 400, "invalid_request_error"


class AuthenticationFailed(InvalidRequest):
    status, type, code = 401, "authentication_error", "invalid_api_key"


class ModelNotFound(InvalidRequest):
    status, code = 404, "model_not_found"


class RequestTimeout(InvalidRequest):
    status, code = 408, "request_timeout"


class RequestTooLarge(InvalidRequest):
    status, code = 413, "request_too_large"


class ConfigError(GatewayError):
    code = "config_error"


class Draining(GatewayError):
    status, code = 503, "shutting_down"

    def __init__(self) -> None:
        super().__init__("The gateway is shutting down; send the request again.", headers={"Retry-After": "1"})


class ClientGone(GatewayError):
    status, code = 499, "client_closed_request"


class UpstreamError(GatewayError):
    """The upstream refused; `upstream_status`, `upstream_headers`, `upstream_body` (bytes) are what it really said."""

    status = 502

    def __init__(
        self,
        message: str,
        *,
        upstream_status: int | None = None,
        upstream_body: bytes | None = None,
        upstream_headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(message, **fields)
        self.upstream_status = upstream_status
        self.upstream_body = upstream_body
        self.upstream_headers = dict(upstream_headers or {})


class UpstreamUnreachable(UpstreamError):
    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    status, code = 504, "upstream_timeout"


class UpstreamTruncated(UpstreamError):
    code = "upstream_truncated"


def error_body(error: GatewayError, mask: Callable[[str], str] = str) -> dict[str, dict[str, str | None]]:
    """Return OpenAI's error object; all four keys are always there. `mask` hides keys that an upstream may quote."""
    told = {"message": str(error), "type": error.type, "param": error.param, "code": error.code}
    return {"error": {name: mask(text) if isinstance(text, str) else text for name, text in told.items()}}


Shape = Callable[[GatewayError, Callable[[str], str]], dict[str, Any]]


def shape_here() -> Shape:
    """Return how errors are told under the path of this request: `error_body`, or what `error_shapes` has for it."""
    shapes: Mapping[str, Shape] = current_app.extensions.get("error_shapes", {})
    return shapes.get(request.path.split("/", 2)[1], error_body)


def error_response(error: GatewayError) -> Response:
    """Return `error` as a JSON answer with its status and headers, keys masked."""
    trace = g.get("trace")
    body = shape_here()(error, trace.mask_text if trace else str)
    response = Response(dump(body), error.status, mimetype="application/json")
    response.headers.extend(error.headers)
    return response


def init_app(app: Flask) -> None:
    """Answer every error of the tree, of HTTP and of our own bugs in OpenAI's shape."""
    app.register_error_handler(GatewayError, answer_error)
    app.register_error_handler(HTTPException, lambda error: answer_error(as_gateway_error(error)))
    app.register_error_handler(Exception, answer_bug)


def answer_error(error: GatewayError) -> Response:
    note_error(error, error)
    return error_response(error)


def answer_bug(error: Exception) -> Response:
    """Say little to the client (a traceback may hold a key); the log has the rest."""
    said = GatewayError("The gateway failed on this request; its log says why.", code="internal_error")
    note_error(error, said)
    log.error("bug in the gateway", exc_info=error)
    return error_response(said)


def note_error(error: BaseException, said: GatewayError) -> None:
    """Note what happened, and what the client is told of it: the body, and headers of its own."""
    if trace := g.get("trace"):
        headers = {"headers": dict(said.headers)} if said.headers else {}
        trace.note("error", {**describe_exception(error), "answer": shape_here()(said, str), **headers})


def as_gateway_error(error: HTTPException) -> GatewayError:
    """Turn what Flask and werkzeug raise (unknown path, wrong method, too large) into OpenAI's words."""
    status = error.code or 500
    if status == 404:
        return InvalidRequest(
            f"Unknown path {request.method} {request.path}. See GET / for what is served.",
            status=404,
            code="unknown_url",
        )
    if status == 405:
        allowed = ", ".join(sorted(set(getattr(error, "valid_methods", None) or ()) - {"HEAD", "OPTIONS"}))
        return InvalidRequest(
            f"{request.method} is not allowed for {request.path}; use {allowed}.",
            status=405,
            code="method_not_allowed",
            headers={"Allow": allowed},
        )
    if isinstance(error, RequestEntityTooLarge):
        limit = current_app.config["MAX_CONTENT_LENGTH"]
        return RequestTooLarge(f"The request body is larger than {limit} bytes (GATEWAY_MAX_BODY_BYTES).")
    if status >= 500:
        return GatewayError(
            "The gateway failed on this request; its log says why.", code="internal_error", status=status
        )
    return InvalidRequest(error.description or error.name, status=status)
