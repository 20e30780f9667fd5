"""A fake ChatJimmy on a real socket: it checks each request as the real one does and says what a test wants.

    with FakeJimmy() as jimmy:                       base_url of the provider: jimmy.url
        jimmy.say("Hello!", "and then this")         texts, one request each; the last one repeats
        jimmy.say(lambda asked: f"You said {asked.last}")
        jimmy.say(bytes_answer(b"raw bytes"))        any Answer of tests.upstream, byte for byte
        jimmy.asked[0].system, .messages, .last      what the gateway sent
        jimmy.faults                                 what was wrong with it, by the shape the web page sends

A prompt of 6,070 tokens or more gets an empty 200, as in the probes of 2026-09; so do requests without model or text.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.upstream import Answer, FakeUpstream, Recorded, bytes_answer, json_answer

FIXTURES = Path(__file__).parent / "fixtures" / "chatjimmy"
EVENTS = {"Content-Type": "text/event-stream; charset=utf-8"}  # what it says; it is none
LIMIT, EMPTY_FROM = 6144, 6070  # tokens
BODY_KEYS = {"messages", "chatOptions", "attachment"}
OPTION_KEYS = {"selectedModel", "systemPrompt", "topK"}


@dataclass(frozen=True)
class Asked:
    """One request in ChatJimmy's words."""

    body: Mapping[str, Any]
    headers: Mapping[str, str]

    @property
    def messages(self) -> list[tuple[str, str]]:
        """The turns as (role, text)."""
        return [(message["role"], message["content"]) for message in self.body["messages"]]

    @property
    def system(self) -> str:
        return str(self.body["chatOptions"]["systemPrompt"])

    @property
    def last(self) -> str:
        """The text of the last turn."""
        return self.messages[-1][1]

    @property
    def tokens(self) -> int:
        """About as many as the model counts: 4 ASCII characters, or 1.5 others, are one."""
        text = self.system + "".join(said for _, said in self.messages)
        plain = sum(1 for character in text if character < "\x80")
        return int(plain / 4 + (len(text) - plain) / 1.5) + 10


Said = str | Answer
Script = Said | Callable[[Asked], Said]


class FakeJimmy(FakeUpstream):
    """The server. `say` sets the script; `enforce_limit=False` lets any prompt pass."""

    def __init__(self, enforce_limit: bool = True) -> None:
        self.asked: list[Asked] = []
        self.faults: list[str] = []
        self.enforce_limit = enforce_limit
        self._said: list[Script] = ["Hello my friend\n"]
        super().__init__()

    def say(self, *script: Script) -> None:
        """Answer with these, one request each; the last one repeats."""
        with self._changed:
            self._said = list(script)

    def _record(self, request: Recorded) -> Answer:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        path = request.path.partition("?")[0]
        if request.method in ("GET", "HEAD"):
            name = {"/api/models": "models.json", "/api/health": "health.json"}.get(path)
            if name:
                return json_answer(fixture(name))
            return bytes_answer(b"", 405 if path == "/api/chat" else 404)
        if path == "/api/chat/":
            return bytes_answer(b"/api/chat", 308, {"Location": "/api/chat"})
        return self._chat(request) if path == "/api/chat" else bytes_answer(b"", 404)

    def _chat(self, request: Recorded) -> Answer:
        body = request.body
        if not isinstance(body, dict):
            return refusal(1)
        options = body.get("chatOptions")
        if not isinstance(options, dict) or not options.get("selectedModel"):
            return refusal(0)
        if not body.get("messages"):
            return refusal(2)
        with self._changed:
            self.faults += shape_faults(body)
            asked = Asked(body, request.headers)
            self.asked.append(asked)
            script = self._said.pop(0) if len(self._said) > 1 else self._said[0]
        if self.enforce_limit and asked.tokens >= EMPTY_FROM:
            return text_answer("", stats("", asked.tokens, reason=f"max context limit {LIMIT} reached"))
        said = script(asked) if callable(script) else script
        return said if isinstance(said, Answer) else text_answer(said, stats(said, asked.tokens))


def fixture(name: str) -> Any:
    """Read a recorded answer."""
    return json.loads((FIXTURES / name).read_text("utf-8"))


def refusal(number: int) -> Answer:
    """Return one of the recorded refusals: 0 no model, 1 no JSON, 2 no messages."""
    recorded = fixture("errors.json")[number]
    return json_answer(recorded["body"], recorded["status"])


def stats(text: str = "", prompt_tokens: int = 18, **fields: Any) -> dict[str, Any]:
    """Return the numbers of an answer; `fields` overrule."""
    said = len(text.split())
    numbers = {
        "created_at": 1789625432.02, "done": True, "done_reason": "stop", "total_duration": 0.005, "logprobs": None,
        "topk": 8, "ttft": 0.001, "reason": "termination token 128009/<|eot_id|> detected", "status": 0,
        "prefill_tokens": prompt_tokens, "prefill_rate": 15540.8, "decode_tokens": said, "decode_rate": 19553.8,
        "total_tokens": prompt_tokens + said, "total_time": 0.001, "roundtrip_time": 13,
    }  # fmt: skip
    return numbers | fields


def text_answer(
    text: str, numbers: Mapping[str, Any] | None = None, pieces: int | Iterable[int] | None = None
) -> Answer:
    """Return an answer as ChatJimmy sends it: the text, then its block of numbers; cut every `pieces` bytes."""
    raw = text.encode("utf-8", "surrogatepass")
    if numbers is not None:
        raw += f"<|stats|>{json.dumps(numbers, separators=(',', ':'))}<|/stats|>".encode()
    answer = bytes_answer(raw, headers=EVENTS, framing="chunked")
    if pieces is not None:
        answer.cuts = list(range(pieces, len(raw), pieces)) if isinstance(pieces, int) else sorted(pieces)
    return answer


def shape_faults(body: Mapping[str, Any]) -> list[str]:
    """List what the web page would never send."""
    faults = [f"unknown field {name}" for name in body.keys() - BODY_KEYS]
    faults += [f"unknown option {name}" for name in body["chatOptions"].keys() - OPTION_KEYS]
    if not isinstance(body["chatOptions"].get("systemPrompt"), str):
        faults.append("systemPrompt is no text")
    if type(body["chatOptions"].get("topK")) is not int:
        faults.append("topK is no whole number")
    before = None
    for number, message in enumerate(body["messages"]):
        if message.get("role") not in ("user", "assistant"):
            faults.append(f"message {number}: role {message.get('role')!r}")
        if not isinstance(message.get("content"), str) or not message["content"].strip():
            faults.append(f"message {number}: no text")
        if message.keys() - {"id", "role", "content", "createdAt"}:
            faults.append(f"message {number}: unknown fields {sorted(message)}")
        if message.get("role") == before:
            faults.append(f"message {number}: two turns of one role")
        before = message.get("role")
    return faults
