"""Gives each HTTP request a trace and its id, and ends it when the last byte is out; knows Flask, not what is noted."""

from collections.abc import Sequence
from typing import Any

from flask import Flask, Response, current_app, g, request

from app.secret_book import SecretBook, read_request_secrets
from app.trace import Sink, Trace

SESSION_HEADERS = ("x-session-id", "x-opencode-session-id", "x-opencode-session", "x-session-affinity")
NOT_TRACED = frozenset({"/health", "/ready", "/metrics", "/inspector"})  # asked every few seconds: they would fill the log
INSPECTOR = "/inspector/"  # what looks at traces leaves none


def init_app(
    app: Flask, settings_store: Any, sinks: Sequence[Sink] | None = None, book: SecretBook | None = None
) -> None:
    """Give each request of `app` a trace in `g.trace` and an `x-request-id`; end it when the last byte is out.

    `settings_store.current.secrets` is a tuple of all configured keys. Without `sinks` the log of `app.verbose_log` is
    the only one. The keys are kept in `app.extensions["secret_book"]`, the sinks in `app.extensions["trace_sinks"]`.
    """
    if sinks is None:
        from app.verbose_log import open_log

        sinks = [open_log(settings_store.current)]
    secret_book = book or SecretBook(lambda: settings_store.current.secrets)
    app.extensions |= {"secret_book": secret_book, "trace_sinks": tuple(sinks)}

    app.before_request(_begin)
    app.after_request(_name_the_request)
    app.teardown_request(_end_without_response)


def _begin() -> None:
    path = request.path
    if path not in NOT_TRACED and not path.startswith(INSPECTOR):
        trace = g.trace = trace_of_request(request.method)
        headers = g.client_headers = dict(request.headers.items())
        trace.note("client_headers", headers)


def trace_of_request(method: str, secrets: Sequence[str] = ()) -> Trace:
    """Begin a trace of the current request, or of a part of it that `method` names; `secrets` came in its body."""
    extensions = current_app.extensions
    book, sinks = extensions["secret_book"], extensions["trace_sinks"]
    headers, has_query = request.headers, bool(request.query_string)
    known = (*read_request_secrets(headers, request.args if has_query else {}), *secrets)
    book.remember(known)
    path = request.full_path if has_query else request.path
    trace = Trace(
        method, path, book, sinks, known,
        client=request.remote_addr, user_agent=headers.get("User-Agent"),
        session=next((sent for name in SESSION_HEADERS if (sent := headers.get(name)) is not None), None),
        client_request_id=headers.get("x-request-id"),
    )
    trace.body_bytes = request.content_length or 0
    for sink in sinks:
        if (begun := getattr(sink, "begun", None)) is not None:
            begun(trace)
    return trace


def _name_the_request(response: Response) -> Response:
    trace: Trace | None = g.get("trace")
    if trace is not None:
        response.headers["x-request-id"] = trace.id
        trace.describe(status=response.status_code)
        response.call_on_close(trace.finish)
        g.trace_has_response = True
    return response


def _end_without_response(error: BaseException | None) -> None:
    trace: Trace | None = g.get("trace")
    if trace is not None and not g.get("trace_has_response"):
        if error is not None:
            trace.note("error", error)
        trace.finish(500)
