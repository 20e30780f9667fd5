"""A captured request as lines for a person: its conversation, what became of the request, its chunks. Prints nothing.

Lines are (colour, text) as `log_writer` has them. Whoever prints escapes what could steer a terminal.
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.capture import Capture
from app.log_writer import Line, one_line
from app.recording import Recording
from app.trace_values import parse, split_events
from app.utils.assemble import assemble
from app.utils.json_diff import ABSENT, diff
from app.utils.summarise import tool_name
from app.utils.tokens import content_texts
from app.verbose_log import format_line

LONGEST_TEXT, LONGEST_LINES = 4_000, 40  # of one message, unless all is asked for
LONGEST_VALUE = 300
HEAD = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
OWN = ("model", "messages", "prompt", "tools", "stream")  # shown in their own way


def conversation(capture: Capture, whole: bool = False) -> Iterator[Line]:
    """Yield the request in one line, what was said in it, the answer, the repairs, and the error if there is one."""
    recording = Recording(capture)
    known = {name: value for name, value in capture.summary.items() if value is not None}
    yield "title", format_line({"method": "-", "path": "-", "started": 0.0, "duration": 0.0, **known, "id": recording.id})
    if "duration" in capture.summary and "duration" not in known:
        yield "key", "It is not over yet: this is what was stored so far."
    yield from _request(recording, whole)
    answer = answer_of(capture)
    if answer is not None:
        yield from _answer(answer, whole)
    yield from missing_lines(capture)
    yield from _repairs(capture)
    if recording.error:
        yield from error_lines(recording.error, whole)


def answer_of(capture: Capture) -> dict[str, Any] | None:
    """Return the answer as the client has it: choices with messages, usage; None where there is none."""
    written = b"".join(data for _, data in capture.emitted())
    if written:
        return assemble([chunk for chunk in map(parse, split_events(written)) if chunk is not None])
    answer = capture.last("answer")
    return answer if isinstance(answer, dict) else None


def _request(recording: Recording, whole: bool) -> Iterator[Line]:
    body = recording.request
    given = {name: value for name, value in body.items() if name not in OWN}
    if given:
        yield "", f"fields: {one_line(json.dumps(given, ensure_ascii=False), LONGEST_VALUE)}"
    tools = body.get("tools")
    if isinstance(tools, list) and tools:
        yield "", f"tools ({len(tools)}): {one_line(', '.join(map(tool_name, tools)), 2_000)}"
    messages = body.get("messages")
    for number, message in enumerate(messages if isinstance(messages, list) else (), 1):
        if isinstance(message, dict):
            yield from _message(f"[{number}] {one_line(message.get('role'))}", message, whole)
    prompt = body.get("prompt")
    for text in prompt if isinstance(prompt, list) else [prompt]:
        if text:
            yield from _message("prompt", {"content": text if isinstance(text, str) else json.dumps(text)}, whole)


def missing_lines(capture: Capture) -> Iterator[Line]:
    """Yield a line for a capture that does not hold all of its answer."""
    if missing := Recording(capture).missing:
        yield "bad", f"The end of the answer is missing here: {missing} reads and writes were too much to be kept."


def _message(title: str, message: Mapping[str, Any], whole: bool) -> Iterator[Line]:
    called = f" (answers {one_line(message['tool_call_id'])})" if message.get("tool_call_id") else ""
    yield "", ""
    yield "title", title + called
    for name in ("reasoning_content", "refusal"):
        if isinstance(message.get(name), str) and message[name]:
            yield "key", f"{name}:"
            yield from _text(message[name], whole)
    yield from _text("\n".join(content_texts(message.get("content"))), whole)
    content = message.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and "text" not in part:
            yield "", f"  ({one_line(part.get('type'))})"
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            arguments = _short(function.get("arguments"), whole)
            yield "key", f"  {one_line(function.get('name'))}({arguments}) {one_line(call.get('id'))}"


def _text(text: str, whole: bool) -> Iterator[Line]:
    """Yield a text behind a margin, so that no line of it can pass for one of ours."""
    if not text:
        return
    shown = text if whole else text[:LONGEST_TEXT]
    lines = shown.split("\n")
    kept = lines if whole else lines[:LONGEST_LINES]
    for line in kept:
        yield "", f"  {line}"
    left = len(text) - len("\n".join(kept))
    if left > 0:
        yield "key", f"  … {left} more characters (-v shows all)"


def _answer(answer: Mapping[str, Any], whole: bool) -> Iterator[Line]:
    choices = answer.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        message = choice.get("message") if isinstance(choice, dict) else None
        title = f"answer ({one_line(choice.get('finish_reason'))})" if isinstance(choice, dict) else "answer"
        if not isinstance(message, dict):
            message = {"content": choice.get("text") if isinstance(choice, dict) else None}
        yield from _message(title, message, whole)
    if isinstance(answer.get("usage"), dict):
        yield "", ""
        yield "", f"usage: {one_line(json.dumps(answer['usage']), LONGEST_VALUE)}"


def _repairs(capture: Capture) -> Iterator[Line]:
    entries = repair_entries(capture)
    if entries:
        yield "", ""
        yield "title", "repairs"
        for entry in entries:
            yield "good", f"  {repair_text(entry)}"


def repair_entries(capture: Capture) -> list[Mapping[str, Any]]:
    """Return the repairs in their order: rule, where, before, after, mode, and where known `at` and `raw`."""
    report = capture.last("repairs")
    entries = report.get("entries") if isinstance(report, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def repair_text(entry: Mapping[str, Any], longest: int = LONGEST_VALUE) -> str:
    """Put one repair into a line."""
    values = [one_line(json.dumps(entry.get(name), ensure_ascii=False, default=str), longest) for name in ("before", "after")]
    warned = " (only noted)" if entry.get("mode") == "warn" else ""
    return f"{one_line(entry.get('rule'))} {one_line(entry.get('where'))}: {values[0]} -> {values[1]}{warned}"


def error_lines(error: Mapping[str, Any], whole: bool = False) -> Iterator[Line]:
    """Yield what the client was told, and what the upstream really said."""
    facts = [f"{name} {one_line(error[name])}" for name in ("type", "status", "code", "param") if error.get(name) is not None]
    yield "", ""
    yield "bad", f"error: {one_line(error.get('message'), 2_000)}"
    yield "", f"  {', '.join(facts)}"
    if error.get("upstream_status") is not None or error.get("upstream_body"):
        yield "key", f"the upstream said ({one_line(error.get('upstream_status'))}):"
        yield from _text(str(error.get("upstream_body") or "(nothing)"), whole)


# --- what became of the request ---------------------------------------------------------------------------------------


def request_diff(capture: Capture, whole: bool = False) -> Iterator[Line]:
    """Yield how the request that was sent differs from the one that was received."""
    received, sent = capture.last("client_request"), capture.last("upstream_request")
    if received is None or sent is None:
        yield "bad", "It is not stored what came or what was sent: it was refused before, or GATEWAY_TRACE is too low."
        return
    yield "title", "received -> sent"
    changes = list(diff(received, sent))
    for change in changes:
        yield from _change(change.path or "(all)", change.before, change.after, whole)
    if not changes:
        yield "", "  (the same)"


def _change(path: str, before: Any, after: Any, whole: bool) -> Iterator[Line]:
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        yield "key", f"  ~ {one_line(path)}"
        old, new = before.split("\n"), after.split("\n")
        for line in list(difflib.unified_diff(old, new, n=1, lineterm=""))[2:]:
            yield {"-": "bad", "+": "good"}.get(line[:1], ""), f"      {line}"
        return
    if before is not ABSENT:
        yield "bad", f"  - {one_line(path)}: {_short(before, whole)}"
    if after is not ABSENT:
        yield "good", f"  + {one_line(path)}: {_short(after, whole)}"


def _short(value: Any, whole: bool) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return one_line(text, len(text) if whole else LONGEST_VALUE)


# --- chunks -----------------------------------------------------------------------------------------------------------

Cell = tuple[float, str, str]  # seconds; raw, rule or emitted; text


def chunk_cells(capture: Capture) -> list[Cell]:
    """Return chunks and repairs in the order in which they happened; comments and [DONE] have no number."""
    cells: list[Cell] = []
    counts = {"raw": 0, "emitted": 0}
    for event in capture.events:
        station = event["station"]
        for payload in _payloads(event) if station in counts else ():
            counted = not payload.startswith(":") and payload.strip() != "[DONE]"
            counts[station] += counted
            cells.append((event["at"], station, f"#{counts[station]} {payload}" if counted else payload))
    end = cells[-1][0] if cells else 0.0
    for entry in repair_entries(capture):
        at = entry.get("at")
        cells.append((at if isinstance(at, int | float) else end, "rule", repair_text(entry)))
    order = {"raw": 0, "rule": 1, "emitted": 2}
    return sorted(cells, key=lambda cell: (cell[0], order[cell[1]]))


def _payloads(event: Mapping[str, Any]) -> Iterable[str]:
    if event["station"] == "raw":
        return list(event["data"])
    return [payload.decode("utf-8", "replace") for payload in split_events(event["text"].encode("utf-8", "replace"))]


def chunk_lines(capture: Capture, width: int = 160, whole: bool = False) -> Iterator[Line]:
    """Yield what the upstream said on the left, what the client got on the right, and the rules between."""
    half = max(20, (width - 14) // 2)
    yield "title", f"{'seconds':>9}  {'raw':{half}} | emitted"
    cells = chunk_cells(capture)
    for at, station, text in cells:
        text = text if whole else _without_head(text)
        if station == "rule":
            yield "good", f"{at:9.3f}  {' ' * (half // 3)}== {one_line(text, LONGEST_VALUE)}"
            continue
        pieces = _wrapped(one_line(text, len(text)), half, whole)
        for number, piece in enumerate(pieces):
            clock = f"{at:9.3f}" if number == 0 else " " * 9
            left, right = (piece, "") if station == "raw" else ("", piece)
            yield "", f"{clock}  {left:{half}} | {right}".rstrip()
    yield from missing_lines(capture)
    if all(station == "rule" for _, station, _ in cells):
        yield "bad", "No chunks are stored: the answer was no stream, or GATEWAY_TRACE is not `chunks`."


def _without_head(text: str) -> str:
    """Leave out what all chunks of an answer have in common."""
    number, _, payload = text.partition(" ")
    chunk = parse(payload.encode("utf-8", "replace")) if number.startswith("#") else None
    if not isinstance(chunk, dict) or not isinstance(chunk.get("choices"), list):
        return text
    rest = {name: value for name, value in chunk.items() if name not in HEAD}
    return f"{number} {json.dumps(rest, ensure_ascii=False, separators=(',', ':'))}"


def _wrapped(text: str, width: int, whole: bool) -> list[str]:
    pieces = [text[at : at + width] for at in range(0, len(text), width)] or [""]
    if whole or len(pieces) <= 2:
        return pieces
    return [pieces[0], pieces[1][: width - 1] + "…"]
