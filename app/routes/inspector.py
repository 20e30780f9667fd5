"""GET /inspector: the page that shows stored requests, and the JSON API behind it (`/inspector/api/…`).

The page itself holds nothing and is open to this machine; every answer of the API wants the token (see inspector_guard).
"""

from typing import Any

from flask import Blueprint, Response, current_app, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app import metric_layout
from app.auth import client_key
from app.capture import dump, write_capture
from app.curl_text import curl_text
from app.errors import InvalidRequest
from app.inspector_feed import feed
from app.inspector_files import Files
from app.inspector_guard import HEADERS, PATH, TOKEN, check_machine, check_token, cookie_name, is_good
from app.lifecycle import lifecycle
from app.trace_reader import TraceReader, events_of, numbered
from app.trace_rows import Row
from app.trace_series import series

bp = Blueprint("inspector", __name__, url_prefix=PATH)
API = f"{PATH}/api/"
FILTERS = ("model", "client", "session", "status", "repaired", "q")
LONGEST_FILTER = 500
REPAIR_FIELDS = ("at", "raw", "rule", "where", "before", "after", "mode")

DROPPED = (metric_layout.DROP, "traces")

_files = Files()


class NoTrace(InvalidRequest):
    status, code = 404, "trace_not_found"


@bp.before_request
def guard() -> None:
    """Let the page go to this machine, and stored requests to whoever has the token."""
    keys = _keys()
    check_machine(request.remote_addr, request.headers, keys)
    if request.path.startswith(API):
        check_token((client_key(), request.cookies.get(_cookie())), keys)


@bp.after_request
def protect(response: Response) -> Response:
    """Forbid the page everything that it does not need."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    return response


@bp.get("")
def page() -> AnyResponse:
    """Return the page. With `?token=…` the browser is given the cookie that opens it, and an address without the token."""
    given = request.args.get("token")
    if given is None:
        return static("index.html")
    good = is_good(given, _keys())
    answer = redirect(PATH if good else f"{PATH}?refused=1", 303)
    if good:
        answer.set_cookie(_cookie(), TOKEN, path=PATH, httponly=True, samesite="Strict", secure=request.is_secure)
    return answer


@bp.get("/static/<name>")
def static(name: str) -> Response:
    """Return a file of the page. A browser asks each time whether it changed."""
    file = _files.get(name)
    if file is None:
        raise InvalidRequest(f"There is no file {name[:100]!r}.", status=404, code="unknown_url")
    response = Response(file.data, content_type=file.type)
    response.set_etag(file.tag)
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request.environ)
    return response


@bp.get("/api/traces")
def traces() -> Response:
    """List stored requests, newest first: `limit`, `before` (a cursor), and the filters."""
    given = {name: request.args.get(name, "")[:LONGEST_FILTER].replace("\0", "\ufffd") for name in FILTERS}
    filters = {name: value for name, value in given.items() if value}
    try:
        rows, after = _reader().page(_number("limit", 100), request.args.get("before"), **filters)
    except ValueError:
        raise InvalidRequest("`before` must be a cursor, and `status` ok, error or a number.", param="before") from None
    return reply({"traces": rows, "next": after, "dropped": dropped(), "depth": _depth()})


@bp.get("/api/traces/<id>")
def trace(id: str) -> Response:
    """Return the row of one request, and which parts of it are stored, with their sizes."""
    return reply({"summary": _row(id), "parts": _reader().parts(id)})


@bp.get("/api/traces/<id>/parts/<part>")
def part(id: str, part: str) -> Response:
    """Return one part: what was noted there last."""
    found = _reader().part(id, part)
    if found is None:
        raise NoTrace(f"Of {id[:64]!r} there is no part {part[:64]!r}.")
    return reply(found[0])


@bp.get("/api/traces/<id>/chunks")
def chunks(id: str) -> Response:
    """Return what came from the upstream, what went to the client, and what was repaired between, event by event."""
    _row(id)
    reads, writes = _reader().chunks(id)
    report = _reader().part(id, "repairs") or ({},)
    entries = report[0].get("entries", []) if isinstance(report[0], dict) else []
    repairs = [{name: entry.get(name) for name in REPAIR_FIELDS} for entry in entries]
    return reply({"raw": numbered(reads), "emitted": numbered(events_of(writes)), "repairs": repairs})


@bp.get("/api/traces/<id>/curl")
def curl(id: str) -> Response:
    """Return the request as a curl command; keys are left out."""
    row = _row(id)
    headers, body = (_reader().part(id, name) or (None,) for name in ("client_headers", "client_request"))
    if body[0] is None and row["method"] != "GET":
        raise NoTrace(f"The body of {id[:64]!r} is not stored (GATEWAY_TRACE), so it cannot be sent again.")
    sent: dict[str, Any] = headers[0] if isinstance(headers[0], dict) else {}
    text = curl_text(request.host_url.rstrip("/"), row, sent, body[0], bool(_keys()))
    return Response(text, content_type="text/plain; charset=utf-8")


@bp.get("/api/traces/<id>/capture")
def capture(id: str) -> Response:
    """Return the request as a capture file."""
    row = _row(id)
    lines = "".join(write_capture(row, _reader().events(id)))
    name = f"{''.join(letter for letter in id if letter.isalnum() or letter in '_-')[:64]}.capture.jsonl"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(lines.encode(), content_type="application/jsonl; charset=utf-8", headers=headers)


@bp.get("/api/live")
def live() -> Response:
    """Return a stream of rows as they are stored, by any worker; it ends when the server drains."""
    since = request.headers.get("Last-Event-ID") or request.args.get("since")
    try:
        begin = float(since) if since else None
    except ValueError:
        raise InvalidRequest("`since` must be a Unix time.", param="since") from None
    token = g.cancel
    forget = lifecycle.when_draining(token.cancel)
    trace_store = current_app.extensions["trace_store"]  # the feed goes on when the request's context is gone
    lost = (lambda: trace_store.dropped) if trace_store is not None else (lambda: 0)
    metrics = current_app.extensions["metrics"]

    def wait(seconds: float) -> bool:
        metrics.watch()
        over: bool = token.wait(seconds)
        return over

    events = feed(_reader(), begin, wait, lambda: {"dropped": lost()})
    response = Response(events, content_type="text/event-stream; charset=utf-8", headers={"X-Accel-Buffering": "no"})
    response.call_on_close(forget)
    return response


@bp.get("/api/series")
def over_time() -> Response:
    """Return counts, tokens, times and repairs by `bucket` seconds over the last `minutes`."""
    store = current_app.extensions["store"]
    try:
        return reply({"buckets": series(store, _number("minutes", 60), _number("bucket", 60))})
    except ValueError as error:
        raise InvalidRequest(f"Of these minutes and buckets {error}.", param="bucket") from None


@bp.get("/api/sessions")
def sessions() -> Response:
    """List the sessions used last, with counts."""
    return reply({"sessions": _reader().sessions()})


@bp.get("/api/filters")
def filters() -> Response:
    """Return what the list can be filtered by: models, clients, statuses."""
    return reply(_reader().filters())


def reply(value: object) -> Response:
    return Response(dump(value).encode(), content_type="application/json")


def dropped() -> int:
    """Return how many requests could not be stored since the server started, by any worker."""
    metrics = current_app.extensions["metrics"]
    metrics.refresh()
    return int(sum(cells[0] for region in metrics.regions for key, cells in region.read() if key == DROPPED))


def _row(identifier: str) -> Row:
    row = _reader().get(identifier)
    if row is None:
        raise NoTrace(f"There is no stored request {identifier[:64]!r}; old ones are deleted (GATEWAY_TRACE_DAYS).")
    return row


def _number(name: str, default: int) -> int:
    text = request.args.get(name)
    if not text:
        return default
    if not text.isdecimal() or len(text) > 9:
        raise InvalidRequest(f"`{name}` must be a whole number.", param=name)
    return int(text)


def _keys() -> tuple[str, ...]:
    keys: tuple[str, ...] = current_app.extensions["settings_store"].current.api_keys
    return keys


def _depth() -> str:
    depth: str = current_app.extensions["settings_store"].current.trace
    return depth


def _cookie() -> str:
    return cookie_name(str(request.environ.get("SERVER_PORT", "")))


def _reader() -> TraceReader:
    return TraceReader(current_app.extensions["store"])
