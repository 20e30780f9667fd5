"""An upstream's refusal -> one OpenAI-shaped error: status, words, code and when to try again; no HTTP, no engine.

What agents do with an error hangs on its status, its headers and on words and digits in its message (OpenCode asks
again wherever it reads 429, 500, 502, 503, 504 or 524), so each of them is chosen here and nowhere else.
"""

import json
import math
import re
from collections.abc import Mapping
from html import unescape
from typing import NamedTuple

import orjson

from app.errors import UpstreamError
from app.quirks.ledger import answer_rule
from app.quirks.rule import Rule

MAX_WAIT = 60.0  # seconds; OpenCode obeys any Retry-After, up to weeks
MAX_MESSAGE = 4000
HTML_TEXT = 200

STATUSES = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ABORTED": 409, "ALREADY_EXISTS": 409, "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499, "INTERNAL": 500, "UNKNOWN": 500, "DATA_LOSS": 500, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504, "INVALID_REQUEST_ERROR": 400, "AUTHENTICATION_ERROR": 401, "PERMISSION_ERROR": 403,
    "NOT_FOUND_ERROR": 404, "RATE_LIMIT_ERROR": 429, "RATE_LIMIT_EXCEEDED": 429, "INSUFFICIENT_QUOTA": 429,
    "API_ERROR": 500, "SERVER_ERROR": 500, "OVERLOADED_ERROR": 503,
}  # fmt: skip
CODES = {
    400: "invalid_request", 401: "invalid_api_key", 403: "permission_denied", 404: "not_found", 408: "timeout",
    409: "conflict", 413: "request_too_large", 422: "invalid_request", 429: "rate_limit_exceeded",
    500: "internal_error", 502: "bad_gateway", 503: "overloaded", 504: "timeout",
}  # fmt: skip
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

_HTML = re.compile(r"^\s*(<!doctype html|<html|<head|<body)", re.IGNORECASE)
_NOT_TEXT = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|sec|secs|seconds?)?$")
_RETRY_IN = re.compile(r"(?:retry|try again) (?:in|after) (?:(\d+)m)?(\d+(?:\.\d+)?)\s*(ms|s)\b", re.IGNORECASE)
_CONTEXT = re.compile(
    r"input token count.*exceeds the maximum|maximum context length|context[_ ]length|context window|prompt is too long"
    r"|input is too long|too many (?:input )?tokens|exceeds? the (?:available )?context",
    re.IGNORECASE | re.DOTALL,
)
_BAD_KEY = re.compile(r"api[ _]key not valid|API_KEY_INVALID|api key expired|invalid api key", re.IGNORECASE)
_NO_MODEL = re.compile(r"\bmodels?\b.*(not found|does not exist|not supported for|no such|unknown)", re.I | re.S)
_DAILY = re.compile(r"per\s?day|daily", re.IGNORECASE)
_REQUEST_ID = re.compile(r"\breq(?:uest)?[_-][A-Za-z0-9_-]{6,}|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_RETRY_DIGITS = re.compile(r"429|50[0234]|524")
JOINER = "\u2060"
NOTHING = ("null", "None", '""', "[]", "{}")  # bodies that say nothing


class TurnUnusable(UpstreamError):
    """A turn came with HTTP 200 and cannot be used, and nothing of it was sent: asking once more may help.

    `kind` is empty, malformed or truncated; `retryable` is always True (a turn that must not be repeated is said in
    words or raised as another UpstreamError).
    """

    code = "upstream_unusable"
    retryable = True

    def __init__(self, reason: str, *, kind: str) -> None:
        super().__init__(f"The upstream's answer cannot be used: {reason}.")
        self.reason = reason
        self.kind = kind


class Said(NamedTuple):
    """What an upstream's error body says, whatever its form."""

    message: str = ""
    type: str | None = None
    code: str | None = None
    status: int | None = None
    param: str | None = None
    details: tuple[dict, ...] = ()
    html: bool = False


def map_upstream_error(status: int | None, headers: Mapping[str, str], body: object) -> UpstreamError:
    """Return the error to raise for an upstream's answer; `body` is bytes, text or parsed JSON.

    `status` is None for an error inside a stream or a 200: then the body's own code counts, else 502.
    """
    said = read_error(body)
    given = status if status is not None and status >= 400 else said.status
    code, actual, kind = classify(said, given)
    wait = retry_after(headers, said) if actual in (429, 503) and code != "insufficient_quota" else None
    return UpstreamError(
        error_message(said, actual),
        status=actual,
        type=kind,
        code=code,
        param=said.param,
        headers=retry_headers(wait),
        upstream_status=status,
        upstream_body=_as_bytes(body),
        upstream_headers=headers,
    )


def read_error(body: object) -> Said:
    """Read an error body: OpenAI's object, a list of it (Gemini), FastAPI's `detail`, a text, HTML, JSON in JSON."""
    if isinstance(body, (bytes, bytearray)):
        body = bytes(body).decode("utf-8", "replace")
    return _read(body, 0)


def _read(body: object, depth: int) -> Said:
    if isinstance(body, str):
        return _read_text(body, depth)
    if isinstance(body, list):
        return list_of_errors(body, depth)
    if not isinstance(body, dict):
        return Said("" if body is None else _plain(body))
    inner = body.get("error")
    if isinstance(inner, (dict, list)) and inner and depth < 4:
        found = _read(inner, depth + 1)
        return found if found.message else found._replace(message=_words(body))
    return _read_object(body, depth)


def list_of_errors(body: list, depth: int) -> Said:
    """The error is the first element of a list (Gemini): Cline shows "Bad Request", Continue "no body", pi nothing."""
    objects = [item for item in body if isinstance(item, dict)]
    return _read(objects[0], depth) if objects else Said("; ".join(map(_plain, body)))


def _read_text(text: str, depth: int) -> Said:
    if _HTML.match(text):
        return Said(" ".join(unescape(_NOT_TEXT.sub(" ", text)).split())[:HTML_TEXT], html=True)
    if depth < 4 and text.lstrip()[:1] in ("{", "["):
        try:
            return _read(json.loads(text), depth + 1)
        except (ValueError, RecursionError):
            pass  # a text that only begins like JSON, or that nests without end
    return Said("" if text.strip() in NOTHING else text.strip())


def _read_object(error: dict, depth: int) -> Said:
    message, code = _words(error), error.get("code")
    if depth < 4 and message.lstrip()[:1] == "{":
        nested = _read_text(message, depth + 1)
        message = nested.message or message
    kind, name = error.get("type"), error.get("status")
    numbers = (error.get("status_code"), code, name)
    details = error.get("details")
    return Said(
        message,
        kind if isinstance(kind, str) and kind else None,
        code if isinstance(code, str) and code and not code.isdigit() else None,
        next((number for number in map(_status, numbers) if number), None) or _status(kind),
        error["param"] if isinstance(error.get("param"), str) else None,
        tuple(item for item in details if isinstance(item, dict)) if isinstance(details, list) else (),
    )


def _words(error: dict) -> str:
    for name in ("message", "error", "detail", "msg", "error_description", "errors", "title"):
        value = error.get(name)
        if isinstance(value, list):
            return "; ".join(_validation(item) for item in value)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, dict) and value:
            return _words(value)
    return "" if not error else _plain({name: value for name, value in error.items() if name not in ("code", "status")})


def _validation(item: object) -> str:
    """Format one entry of FastAPI's `detail` as `place: reason`."""
    if not isinstance(item, dict):
        return _plain(item)
    place = item.get("loc")
    where = ".".join(str(part) for part in place) + ": " if isinstance(place, list) else ""
    return where + _words(item)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str) if value else ""


def _status(value: object) -> int | None:
    if isinstance(value, str):
        value = int(value) if re.fullmatch("[0-9]{3}", value) else STATUSES.get(value.upper())
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if whole and 400 <= value <= 599 else None  # type: ignore[call-overload, operator]  # a number


def classify(said: Said, given: int | None) -> tuple[str, int, str]:
    """Return (code, HTTP status, type) of an error."""
    status = given or 502
    if said.html and status not in (401, 403, 429):
        return "bad_gateway", 502, "server_error"
    if status in (400, 401, 403) and _BAD_KEY.search(f"{said.message} {said.code} {said.details}"):
        return "invalid_api_key", 401, "authentication_error"
    if status in (400, 413, 422) and (said.code == "context_length_exceeded" or _CONTEXT.search(said.message)):
        return "context_length_exceeded", 400, "invalid_request_error"
    if status == 404 and (said.code == "model_not_found" or _NO_MODEL.search(said.message)):
        return "model_not_found", 404, "invalid_request_error"
    if status == 429 and daily_quota(said):
        return "insufficient_quota", 429, "insufficient_quota"
    status = {529: 503, 524: 504, 520: 502}.get(status, status)
    kind = TYPES.get(status) or ("server_error" if status >= 500 else "invalid_request_error")
    if said.type and status < 500 and status != 429 and STATUSES.get(said.type.upper()) in (None, status):
        kind = said.type
    return said.code or CODES.get(status) or ("server_error" if status >= 500 else "invalid_request"), status, kind


def daily_quota(said: Said) -> bool:
    """A daily quota is reported like any 429 (QuotaFailure, `…PerDay…`): waiting a minute does not help."""
    if said.code == "insufficient_quota" or said.type == "insufficient_quota":
        return True
    return any(
        _DAILY.search(str(violation.get("quotaId") or violation.get("quotaMetric") or ""))
        for detail in said.details
        if str(detail.get("@type", "")).endswith("QuotaFailure")
        for violation in detail.get("violations") or ()
        if isinstance(violation, dict)
    )


def retry_after(headers: Mapping[str, str], said: Said) -> float | None:
    """When to try again stands in the body (`RetryInfo`, "Please retry in 26.66s"), where no agent looks.

    Returns seconds, at most a minute; the upstream's own header comes first; None when nothing tells.
    """
    own = {name.lower(): str(value) for name, value in headers.items()}
    milliseconds, seconds = _number(own.get("retry-after-ms")), _number(own.get("retry-after"))
    delays = [_number(str(detail.get("retryDelay") or "")) for detail in said.details]
    found = milliseconds / 1000 if milliseconds is not None else seconds
    if found is None:
        found = next((delay for delay in delays if delay is not None), None)
    if found is None and (words := _RETRY_IN.search(said.message)):
        found = (int(words[1] or 0) * 60 + float(words[2])) / (1000 if words[3].lower() == "ms" else 1)
    return None if found is None else min(max(found, 0.0), MAX_WAIT)


def _number(text: str | None) -> float | None:
    found = _SECONDS.match(text.strip()) if text else None
    if found is None:
        return None
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


def retry_headers(wait: float | None) -> dict[str, str]:
    """Return the headers that tell agents when to try again: whole seconds, rounded up, and milliseconds."""
    return {} if wait is None else {"Retry-After": str(math.ceil(wait)), "retry-after-ms": str(math.ceil(wait * 1000))}


def error_message(said: Said, status: int) -> str:
    """Return the message to show: the upstream's own words, cut to 4,000 characters, never empty."""
    message = said.message.encode("utf-16", "surrogatepass").decode("utf-16", "replace")[:MAX_MESSAGE]
    if said.html:
        message = f"The upstream answered with a web page: {message}"
    elif not message:
        message = f"The upstream answered with an error (HTTP {status}) that says nothing more."
    return stray_digits(message) if 400 <= status < 500 and status not in (408, 409, 429) else message


def stray_digits(message: str) -> str:
    """An id or a number in a 4xx holds 429, 500, 502, 503, 504 or 524: OpenCode asks again five times.

    Request ids are written `(id)`: the header x-request-id tells them. Other digit runs get a WORD JOINER after their
    first digit: readers see the same number, a pattern no longer finds it.
    """
    message = _REQUEST_ID.sub("(id)", message)
    return _RETRY_DIGITS.sub(lambda run: f"{run[0][0]}{JOINER}{run[0][1:]}", message)


def _as_bytes(body: object) -> bytes:
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    try:
        return body.encode() if isinstance(body, str) else orjson.dumps(body)
    except (UnicodeEncodeError, TypeError):
        return json.dumps(body, default=str).encode()


RULES: tuple[Rule, ...] = tuple(
    answer_rule(name, apply)._replace(stage="error")
    for name, apply in (
        ("error.array", list_of_errors),
        ("error.retry_after", retry_after),
        ("error.daily_quota", daily_quota),
        ("error.stray_digits", stray_digits),
    )
)
