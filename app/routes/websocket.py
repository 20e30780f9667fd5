"""/ws/generate: text generation over a WebSocket. A frame asks, frames answer; one after another on one connection.

    -> {"model": "…", "prompt": "…", "max_tokens": 50}
    <- {"token": "Hel"}  {"token": "lo"}  {"done": true, "finish_reason": "stop", "usage": {…}}

An error is one frame {"error": {"code", "message", "details"}}, and then the end. Every question has a trace and a line
in the log of its own, and the connection has one too, when it ends.
"""

import threading
from typing import Any, NoReturn

from flask import Blueprint, Response, current_app, g, request
from flask.blueprints import BlueprintSetupState

from app.access import check_origin
from app.auth import check_key, client_key
from app.config import Settings
from app.errors import GatewayError, InvalidRequest
from app.lifecycle import lifecycle

bp = Blueprint("websocket", __name__)
SOCKETS = ("gunicorn.socket", "werkzeug.socket")


@bp.record_once
def prepare(state: BlueprintSetupState) -> None:
    """Each connection takes a thread of the server's as long as it is open: leave half of them to others."""
    settings = state.app.extensions["settings_store"].current
    state.app.extensions["free_sockets"] = threading.BoundedSemaphore(max(1, settings.threads // 2))


class Upgraded(Response):
    """Stands for an answer that was not HTTP: it tells the server that nothing more is to be written."""

    def __call__(self, environ: Any, start_response: Any) -> NoReturn:
        self.close()  # nobody else will: the trace ends here
        if SOCKETS[0] in environ:
            raise StopIteration  # gunicorn's word for "already handled"
        raise ConnectionResetError  # werkzeug then passes over this connection


@bp.get("/ws/generate", websocket=True)
def generate_by_socket() -> Response:
    """Take the connection, and answer what comes until it ends."""
    from app.routes.websocket_talk import WebSocket, serve

    settings: Settings = current_app.extensions["settings_store"].current
    check_origin(request.headers, bool(settings.api_keys))
    given = client_key() or request.args.get("api_key")
    if given is not None:
        check_key(settings.api_keys, given)
    client = next((request.environ[name] for name in SOCKETS if name in request.environ), None)
    if client is None:
        raise GatewayError("This server hands no WebSockets on.", status=501, code="no_websocket")
    free = current_app.extensions["free_sockets"]
    if not free.acquire(blocking=False):
        raise GatewayError("Too many WebSockets are open.", status=503, code="overloaded", headers={"Retry-After": "5"})
    try:
        lifecycle.leave(g.cancel)  # an open connection is no work; what is asked on it is
        connection = WebSocket(
            client, request.headers, settings.max_body_bytes, g.cancel.cancel, (("x-request-id", g.trace.id),)
        )
        serve(connection, settings.idle_timeout, known=given is not None or not settings.api_keys)
    except OSError as error:
        g.trace.note("error", error)  # lost while it was greeted
    finally:
        free.release()
    return Upgraded(status=101)


@bp.get("/ws/generate")
def not_by_socket() -> NoReturn:
    """Say what is missing."""
    check_key(current_app.extensions["settings_store"].current.api_keys, client_key() or request.args.get("api_key"))
    raise InvalidRequest("Connect to this path as a WebSocket.", status=426, code="upgrade_required",
                         headers={"Upgrade": "websocket"})  # fmt: skip
