"""Repaired answers and chunks -> the exact OpenAI shapes, under the model name that the client used. Pure."""

import time
import uuid
from collections.abc import Mapping
from typing import Any

from app import sse

KEPT = ("system_fingerprint", "service_tier", "usage")


def format_completion(answer: Mapping[str, Any], requested: str) -> dict[str, Any]:
    """Return a chat.completion: `answer`'s choices and usage under the gateway's head; unknown fields are kept."""
    choices = [{"logprobs": None, **choice} for choice in answer.get("choices") or ()]
    return {**answer, **_head(answer, "chat.completion", requested), "choices": choices}


class ChunkFormatter:
    """Formats the chunks of one stream: the same id, `created` and model on all, the role in a first chunk of its own."""

    def __init__(self, requested: str) -> None:
        self._requested = requested
        self._head: dict[str, Any] = {}
        self._opened: set[int] = set()

    def encode(self, chunks: list[dict[str, Any]]) -> bytes:
        """Return `chunks` as server-sent events in one piece."""
        return sse.encode(self.format(chunks))

    def format(self, chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return `chunks` under the stream's head."""
        formatted = []
        for chunk in chunks:
            head = self._head or self._begin(chunk)
            formatted += [{**head, "choices": [opening]} for opening in _openings(chunk["choices"], self._opened)]
            whole = {**head, "choices": chunk["choices"]}
            for name in KEPT:
                if chunk.get(name) is not None:
                    whole[name] = chunk[name]
            formatted.append(whole)
        return formatted

    def _begin(self, chunk: Mapping[str, Any]) -> dict[str, Any]:
        self._head = _head(chunk, "chat.completion.chunk", self._requested)
        return self._head


def _openings(choices: list[dict[str, Any]], opened: set[int]) -> list[dict[str, Any]]:
    """Take the role out of each choice's first delta, as OpenAI sends it: with empty content, before anything is said.

    A turn that was asked again after its reasoning brings a second role: SDKs would join it to the first.
    """
    openings = []
    for choice in choices:
        delta = choice["delta"]
        if "role" not in delta:
            continue
        if choice["index"] in opened:
            choice["delta"] = {name: value for name, value in delta.items() if name != "role" and value is not None}
            continue
        opened.add(choice["index"])
        if len(delta) > 1 or choice["finish_reason"]:
            rest = {name: value for name, value in delta.items() if name != "role" and value is not None}
            choice["delta"] = rest
            opening = {"role": delta["role"], "content": ""}
            openings.append({"index": choice["index"], "delta": opening, "finish_reason": None})
    return openings


def _head(answer: Mapping[str, Any], kind: str, requested: str) -> dict[str, Any]:
    """Keep the upstream's id and time where they are OpenAI's kind of, so that its own log can be searched for them."""
    own, created = answer.get("id"), answer.get("created")
    identifier = own if isinstance(own, str) and own.startswith("chatcmpl-") else f"chatcmpl-{uuid.uuid4().hex}"
    at = created if isinstance(created, int) and not isinstance(created, bool) and created > 0 else int(time.time())
    return {"id": identifier, "object": kind, "created": at, "model": requested}
