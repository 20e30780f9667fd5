"""Recorded answers of real endpoints, read where they lie beside the checkout, and a plain reader of what they say.

The reader is the oracle of the replay tests: it shares no code with the gateway and knows only the dialects' own rules.
"""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.upstream_answers import Answer, bytes_answer, encode_event, encode_json

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "public"
FOLDER = Path(os.environ.get("RECORDED_ANSWERS", BESIDE / "recorded"))
ABSENT = "RECORDED ANSWERS OF REAL ENDPOINTS ARE ABSENT: set RECORDED_ANSWERS to their folder; nothing is replayed"
PIECES = 120


@dataclass
class Said:
    """What one choice says. `called` are name and arguments as text, by index; `finish` as it came."""

    text: str = ""
    reasoning: str = ""
    called: dict[int, list[str]] = field(default_factory=dict)
    finish: str | None = None

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """The calls as (name, arguments as a value)."""
        return [(name, json.loads(arguments or "{}")) for name, arguments in self.called.values()]


@dataclass
class Told:
    """What a whole recorded answer says."""

    choices: dict[int, Said] = field(default_factory=dict)
    usage: dict[str, Any] | None = None
    error: dict[str, Any] | None = None  # an error in the middle of a stream


@cache
def records(dialect: str, *endpoints: str) -> list[dict[str, Any]]:
    """List the records of a dialect and its endpoints; none where the folder is absent."""
    files = sorted(FOLDER.glob("*.json")) if FOLDER.is_dir() else []
    found = [record for path in files for record in json.loads(path.read_text("utf-8"))]
    return [row for row in found if row["dialect"] == dialect and row["endpoint"] in endpoints]


def params(dialect: str, *endpoints: str, **only: bool) -> list[Any]:
    """List test parameters, one per record; a single one that skips loudly where there are no recordings.

    `refused=False` leaves out records of errors, `refused=True` all others.
    """
    found = records(dialect, *endpoints)
    if "refused" in only:
        found = [row for row in found if (row["response"]["status"] >= 400) == only["refused"]]
    return [pytest.param(row, id=row["id"]) for row in found] or [
        pytest.param({}, id="absent", marks=pytest.mark.skip(reason=ABSENT))
    ]


def answer_to_replay(record: dict[str, Any], cut: bool = True) -> Answer:
    """Return the record as an upstream's answer, cut where it hurts: inside characters, words and line ends."""
    response = record["response"]
    raw = response["raw"].encode() if "raw" in response else encode_json(response["body"])
    headers = {"Content-Type": response["headers"].get("content-type", "application/json")}
    if record["endpoint"] == "streamGenerateContent" and isinstance(response.get("body"), list):
        raw = b"".join(map(encode_event, response["body"]))  # recorded without alt=sse, which the gateway sends
        headers = {"Content-Type": "text/event-stream"}
    answer = bytes_answer(raw, response["status"], headers, framing="chunked" if "raw" in response else "length")
    if cut:
        rng = random.Random(record["id"])
        places = {rng.randrange(1, max(2, len(raw))) for _ in range(min(PIECES, len(raw) // 8))}
        places |= {place for place in list(places) if raw[place : place + 1] == b"\n"}
        inside = [place for place in range(1, len(raw)) if 0x80 <= raw[place] < 0xC0][:10]
        answer.cuts = sorted(places | set(inside))
    return answer


def payloads(raw: str) -> Iterator[Any]:
    """Yield the JSON of each event of a recorded stream."""
    for block in raw.replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:"))
        if data.strip() and data.strip() != "[DONE]":
            yield json.loads(data)


def read_openai(record: dict[str, Any]) -> Told:
    """Return what a record in OpenAI's dialect says."""
    told = Told()
    response = record["response"]
    for chunk in payloads(response["raw"]) if "raw" in response else [response["body"]]:
        ended = bool(told.choices) and all(said.finish for said in told.choices.values())
        if not (ended and "choices" in chunk):  # an error beside a choice that has ended is an afterthought
            told.error = chunk.get("error") or told.error
        told.usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or told.usage
        for choice in chunk.get("choices") or ():
            said = told.choices.setdefault(choice.get("index", 0), Said())
            said.finish = choice.get("finish_reason") or said.finish
            told.usage = told.usage or choice.get("usage")
            delta = choice.get("delta") or {}
            delta = delta if "raw" in response else choice.get("message") or {"content": choice["text"]}
            _take_content(said, delta.get("content", None if "delta" in choice else choice.get("text")))
            said.reasoning += delta.get("reasoning_content") or delta.get("reasoning") or ""
            for call in delta.get("tool_calls") or ():
                _take_call(said, call)
    return told


def _take_content(said: Said, content: Any) -> None:
    for part in [content] if isinstance(content, str) else content or ():
        if isinstance(part, str):
            said.text += part
        elif part["type"] == "text":
            said.text += part["text"]
        elif part["type"] == "thinking":
            said.reasoning += "".join(inner["text"] for inner in part["thinking"])


def _take_call(said: Said, call: dict[str, Any]) -> None:
    called = call.get("function") or call["custom"]
    name, arguments = called.get("name") or "", called.get("arguments") or called.get("input") or ""
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments)
    position = call.get("index")
    if position is None:
        position = len(said.called) if name else len(said.called) - 1
    entry = said.called.setdefault(position, ["", ""])
    entry[0] = name or entry[0]
    entry[1] += arguments


def read_gemini(record: dict[str, Any]) -> Told:
    """Return what a record in Google's own dialect says: parts of text, thought and function calls."""
    told, response = Told(), record["response"]
    body = list(payloads(response["raw"])) if "raw" in response else response["body"]
    for chunk in body if isinstance(body, list) else [body]:
        blocked = (chunk.get("promptFeedback") or {}).get("blockReason")
        if blocked:
            told.choices.setdefault(0, Said()).finish = blocked
        told.usage = chunk.get("usageMetadata") or told.usage
        for position, candidate in enumerate(chunk.get("candidates") or ()):
            said = told.choices.setdefault(candidate.get("index", position), Said())
            said.finish = candidate.get("finishReason") or said.finish
            for part in (candidate.get("content") or {}).get("parts") or ():
                if part.get("thought") and "text" in part:
                    said.reasoning += part["text"]
                elif "text" in part:
                    said.text += part["text"]
                if "functionCall" in part:
                    call = part["functionCall"]
                    said.called[len(said.called)] = [call["name"], json.dumps(call.get("args") or {})]
    return told
