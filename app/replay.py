"""Takes a capture through today's gateway: its upstream's answers through the repairs and the formatter, once more.

What comes out is compared with what the client got then. Ids and times that the gateway mints are not compared.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import sse
from app.call import UpstreamCall
from app.cancel import CancelToken
from app.capture import load_capture
from app.engines import replay as engine
from app.errors import ClientGone, GatewayError, error_body
from app.quirks.report import Report
from app.recording import CHAT, GENERATE, SOCKET, TEXT, Recording, error_of
from app.shimmy_errors import error_body as generate_error_body
from app.trace import Trace
from app.trace_values import split_events
from app.turn import Turn
from app.utils import formatter, legacy_completion, text_generation
from app.utils.json_text import dump
from app.utils.masking import ELLIPSIS
from app.utils.model_resolver import Target
from app.utils.request_check import check_chat_request

if TYPE_CHECKING:
    from app.config import Settings

CONTEXT = 2  # lines around a difference
MOST_LINES = 20_000  # of each side that are compared line by line
MOST_SHOWN, BEGINNING = 400, 100  # lines of a difference; lines of each side that are shown of a longer one
MINTED_ID = re.compile(r"(?:chatcmpl-|cmpl-|call_)[A-Za-z0-9_-]+")
MASKED = re.compile(f"(?:[A-Za-z0-9_+/=-]{{0,4}}{ELLIPSIS}[A-Za-z0-9_+/=-]{{0,4}})+")
USAGE = re.compile(r'"usage"\s*:\s*\{')
DONE = "[DONE]"
GONE = f'"{ClientGone.code}"'


class NotReplayable(ValueError):
    """A capture that holds nothing to replay; the message says what is missing."""


@dataclass
class Outcome:
    """What a client gets: a status, and events of a stream (the data of each) or one body. `repairs` as in the header."""

    status: int
    events: list[str] = field(default_factory=list)
    body: Mapping[str, Any] | None = None
    repairs: str = ""


def recorded_outcome(recording: Recording) -> Outcome:
    """Return what the client got then. Raises NotReplayable where that is not known."""
    if any(recording.capture.emitted()):
        written = b"".join(data for _, data in recording.writes)
        return Outcome(recording.status, _events(written), repairs=_header(recording))
    if recording.error and recording.capture.last("answer") is None:
        told = recording.error.get("answer")
        body = told if isinstance(told, dict) else _worded(error_of(recording.error))
        return Outcome(recording.status, body=body, repairs=_header(recording))
    if not recording.writes:
        raise NotReplayable("it does not hold what the client got (GATEWAY_TRACE was not `chunks`)")
    return Outcome(recording.status, body=json.loads(recording.writes[0][1]), repairs=_header(recording))


def _worded(error: GatewayError) -> dict[str, Any]:
    """Return what is compared where the body that the client got was not noted, as in older captures."""
    return {"error": str(error), "code": error.code}


def _header(recording: Recording) -> str:
    return str(recording.capture.summary.get("repairs") or "")


def _events(written: bytes) -> list[str]:
    """Return the data of each event; comments, which bridge silences, are left out."""
    return [event.decode("utf-8", "replace") for event in split_events(written) if not event.startswith(b":")]


def check_replayable(recording: Recording) -> None:
    """Raise NotReplayable for a capture without an upstream's answer, or of a route that has no model behind it."""
    if recording.route is None:
        raise NotReplayable(f"{recording.capture.summary.get('path')} is no route that a replay knows")
    if recording.capture.summary.get("duration", 0) is None:
        raise NotReplayable("the request was not over when it was exported")
    if not recording.request:
        raise NotReplayable("it does not hold the client's request (GATEWAY_TRACE was `headers` or `off`)")
    if recording.chat is None or not recording.target:
        raise NotReplayable("it was refused before a model was asked")
    if recording.missing:
        raise NotReplayable(f"it holds only the beginning of the answer; {recording.missing} reads and writes are missing")
    if not recording.is_raw:
        raise NotReplayable(f"it does not hold what the upstream said (engine {recording.target.get('engine_name')})")


def replay(recording: Recording, settings: "Settings") -> Outcome:
    """Return what the client would get today. Raises NotReplayable."""
    check_replayable(recording)
    report = Report()
    call = UpstreamCall.from_settings(settings, Trace("CLI", "replay"), CancelToken(), "")
    answered, body = FORMATS[str(recording.route)], dict(recording.request)
    shape = generate_error_body if recording.route in (GENERATE, SOCKET) else error_body
    events, status, end = list[str](), 200, [] if recording.route == SOCKET else [DONE]
    try:
        chat = answered.as_chat(body)
        target = target_of(recording)
        turn = Turn(chat, engine.play(recording, target, call), settings, call, report, _headers(recording))
        if not recording.streams:
            return Outcome(200, body=answered.whole(turn.complete(), body, target.requested), repairs=turn.report.header())
        for data in answered.stream(turn.stream(), body, target.requested):
            events += _events(data)
    except GatewayError as error:
        if end and not events and (recording.status >= 400 or not recording.streams):
            noted = isinstance((recording.error or {}).get("answer"), dict)
            return Outcome(error.status, body=shape(error, str) if noted else _worded(error), repairs=report.header())
        events.append(dump(shape(error, str)).decode())
        status = status if end else error.status
    return Outcome(status, events + end, repairs=report.header())


def target_of(recording: Recording) -> Target:
    """Return the target that a capture's request went to, as far as it was noted."""
    known, nothing = recording.target, dict[str, Any]()
    requested = str(known.get("requested") or recording.request.get("model") or "model")
    return Target(
        requested=requested,
        provider_id=str(known.get("provider_id") or "replay"),
        model_key=str(known.get("model_key") or requested),
        model=str(known.get("model") or requested),
        litellm_model=f"replay/{requested}",
        engine_name=engine.OPENAI_READER,
        base_url=None,
        api_key=None,
        key_source="none",
        headers=nothing,
        options=nothing,
        body_options=nothing,
        limit=nothing,
        cost=nothing,
        modalities=nothing,
        entry=nothing,
        openai_dialect=True,
    )


def _headers(recording: Recording) -> dict[str, str]:
    headers = recording.capture.last("client_headers")
    return {str(name): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}


# --- the gateway's formats --------------------------------------------------------------------------------------------

Chunks = Iterator[list[dict[str, Any]]]


@dataclass(frozen=True)
class Format:
    """How one route reads a request and words an answer, as its view in app/routes does."""

    as_chat: Callable[[dict[str, Any]], dict[str, Any]]
    whole: Callable[[dict[str, Any], dict[str, Any], str], dict[str, Any]]
    stream: Callable[[Chunks, dict[str, Any], str], Iterator[bytes]]


def _chat_stream(batches: Chunks, body: dict[str, Any], requested: str) -> Iterator[bytes]:
    yield from map(formatter.ChunkFormatter(requested).encode, batches)


def _text_stream(batches: Chunks, body: dict[str, Any], requested: str) -> Iterator[bytes]:
    chunks = formatter.ChunkFormatter(requested)
    yield from map(legacy_completion.TextChunks(chunks.format, body).encode, batches)


def _generate_stream(batches: Chunks, body: dict[str, Any], requested: str) -> Iterator[bytes]:
    yield from map(sse.encode, text_generation.generation_events(batches))


def _socket_stream(batches: Chunks, body: dict[str, Any], requested: str) -> Iterator[bytes]:
    for events in text_generation.generation_events(batches):
        yield sse.encode([text_generation.frame_of(event) for event in events])


def _text_whole(answer: dict[str, Any], body: dict[str, Any], requested: str) -> dict[str, Any]:
    return legacy_completion.format_text_completion(formatter.format_completion(answer, requested), body)


def _generate_chat(body: dict[str, Any]) -> dict[str, Any]:
    return text_generation.as_chat(text_generation.check_generate_request(body))


FORMATS: Mapping[str, Format] = {
    CHAT: Format(check_chat_request, lambda answer, _, name: formatter.format_completion(answer, name), _chat_stream),
    TEXT: Format(
        lambda body: legacy_completion.as_chat(legacy_completion.check_completion_request(body)), _text_whole, _text_stream
    ),
    GENERATE: Format(_generate_chat, lambda answer, _, name: text_generation.format_generation(answer, name), _generate_stream),
    SOCKET: Format(_generate_chat, lambda answer, _, name: text_generation.format_generation(answer, name), _socket_stream),
}


# --- comparing --------------------------------------------------------------------------------------------------------


def difference(recording: Recording, settings: "Settings") -> str:
    """Return how today's answer differs from the captured one, as a unified diff; "" where it is the same.

    Raises NotReplayable.
    """
    return compare_outcomes(recording, settings)[2]


def compare_outcomes(recording: Recording, settings: "Settings") -> tuple[Outcome, Outcome, str]:
    """Return what the client got then, what it would get today, and the difference. Raises NotReplayable."""
    check_replayable(recording)
    then, now = recorded_outcome(recording), replay(recording, settings)
    if recording.is_left:  # what would have come after that is not known
        then.events = _heard(then.events)
        if not then.events:
            raise NotReplayable("its client left before the answer began")
        now.events = now.events[: len(then.events)]
    how = settling_of(recording)
    return then, now, "\n".join(compare(lines_of(then, how), lines_of(now, how)))


def _heard(events: list[str]) -> list[str]:
    """Leave out what was said into the void: that the client is gone."""
    end = len(events) - events[-1:].count(DONE)
    return events[: end - 1] if end and GONE in events[end - 1] else events[:end]


def difference_of_file(path: Path, environ: Mapping[str, str]) -> str:
    """Return the difference of a capture file under nothing but these settings: for tests.

    Raises OSError, CaptureError, NotReplayable.
    """
    from app.config import Settings

    settings = Settings.load(environ, dotenv=False, opencode={})
    return difference(Recording(load_capture(path), path.name), settings)


@dataclass(frozen=True)
class Settling:
    """What is no difference. `kept`: ids that the upstream itself gave, which must stay what they were.

    `masked`: a key was hidden, in texts that come whole otherwise than in pieces. `guessed`: tokens were estimated then,
    from the texts with their keys.
    """

    kept: frozenset[str] = frozenset()
    masked: bool = False
    guessed: bool = False


def settling_of(recording: Recording) -> Settling:
    """Return what is no difference between a capture and its replay."""
    said = [data.decode("utf-8", "replace") for answer in recording.playable for _, data in answer.reads]
    masked = any(ELLIPSIS in text for text in (json.dumps(recording.request, ensure_ascii=False), *said))
    guessed = masked and not any(map(USAGE.search, said))
    return Settling(frozenset(found for text in said for found in MINTED_ID.findall(text)), masked, guessed)


def lines_of(outcome: Outcome, how: Settling = Settling()) -> list[str]:  # noqa: B008 - frozen
    """Return an outcome as lines to compare: one for each event, with minted ids numbered and times left out."""
    ids: dict[str, str] = {}
    head = [f"status {outcome.status}"]
    if outcome.body is not None:
        text = json.dumps(_settled(outcome.body, how, ids), ensure_ascii=False, indent=1)
        return head + text.split("\n")
    lines = (_line(event, how, ids) for event in outcome.events)
    return head + [line for line in lines if line is not None]


def _line(event: str, how: Settling, ids: dict[str, str]) -> str | None:
    try:
        value = json.loads(event)
    except ValueError:
        return event
    if how.masked and _says_nothing(value):  # the rest of a key that is hidden
        return None
    return json.dumps(_settled(value, how, ids), ensure_ascii=False)


def _says_nothing(chunk: Any) -> bool:
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    return bool(choices) and isinstance(choices, list) and not chunk.get("usage") and all(map(_is_blank, choices))


def _is_blank(choice: Any) -> bool:
    said = choice.get("delta", {"content": choice.get("text")}) if isinstance(choice, dict) else None
    return isinstance(said, dict) and not choice.get("finish_reason") and not any(said.values())


def _settled(value: Any, how: Settling, ids: dict[str, str], name: str = "") -> Any:
    if isinstance(value, dict):
        counted = how.guessed and name == "usage"
        return "(estimate)" if counted else {key: _settled(inner, how, ids, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_settled(inner, how, ids) for inner in value]
    if name == "created" and isinstance(value, int):
        return "(time)"
    if name == "id" and isinstance(value, str) and value not in how.kept and MINTED_ID.fullmatch(value):
        return ids.setdefault(value, f"(id {len(ids) + 1})")
    return MASKED.sub(ELLIPSIS, value) if how.masked and isinstance(value, str) else value


def compare(then: list[str], now: list[str]) -> list[str]:
    """Return a unified diff of two lists of lines, empty where they are equal."""
    if then == now:
        return []
    pairs = enumerate(zip(then, now, strict=False))
    same = next((at for at, (one, other) in pairs if one != other), min(len(then), len(now)))
    first = max(0, same - CONTEXT)
    head = [f"(the first {first} lines are the same)"] if first else []
    found = _diff(then[first : first + MOST_LINES], now[first : first + MOST_LINES])
    if len(found) <= MOST_SHOWN:
        return head + found
    beginning = _diff(then[first : first + BEGINNING], now[first : first + BEGINNING])
    return [*head, *beginning, f"(this is its beginning, the whole difference has {len(found)} lines)"]


def _diff(then: list[str], now: list[str]) -> list[str]:
    return list(difflib.unified_diff(then, now, "captured", "now", n=CONTEXT, lineterm=""))
