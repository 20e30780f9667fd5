"""A fake upstream that behaves as Google's OpenAI-compatible endpoint with Gemini 3: strict in, odd out.

    gemini = GeminiMode([Turn(calls=[("write", {...}), ("write", {...})]), Turn("Done.")])
    upstream.reply_with(gemini)
    ...
    assert gemini.refusals == []

The next turn is the one after as many steps as the history holds; a request without tools (a title) gets `title`.
"""

import base64
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from tests import gemini_rules as rules
from tests.scenarios.builder import Call, Odd, build_chunks, build_completion
from tests.upstream import Recorded
from tests.upstream_answers import Answer, json_answer, sse_answer

GEMINI_3 = Odd(
    ids="empty",
    index="missing",
    packing="per_call",
    finish="stop",
    finish_at="role_only",
    role="every",
    usage_at="every",
    content_key=False,
    signatures=True,
    usage={"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1320},
)


@dataclass(frozen=True)
class Turn:
    """One assistant turn of the script."""

    text: str = ""
    calls: Sequence[Call] = ()


@dataclass
class GeminiMode:
    """A script of turns behind the endpoint's checks; each `check_…` switches one strictness off."""

    turns: Sequence[Turn]
    odd: Odd = GEMINI_3  # how answers are said; ids: empty | good
    id_style: str = "empty"  # empty | short (8 characters) | google (function-call-<digits>)
    title: str = "A title"
    check_schema: bool = True
    check_bounds: bool = False  # refuse pattern, minLength, maxItems … as older versions do
    check_parameters: bool = True
    check_messages: bool = True
    check_order: bool = True
    check_signatures: bool = True
    current_turn_only: bool = False  # the real endpoint looks at the current turn alone
    name_required: bool = False
    json_mode_with_tools: bool = True  # Gemini 3 and newer
    array_errors: bool = True
    refusals: list[str] = field(default_factory=list)
    obeyed_systems: list[str] = field(default_factory=list)  # the one system message that each request's model saw
    issued: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Recorded) -> Answer:
        """Check one request, then answer it from the script."""
        body = request.body if isinstance(request.body, dict) else {}
        with self._lock:
            complaints = list(dict.fromkeys(self.complaints(body)))
            if complaints:
                return self._refuse("\n".join(complaints))
            systems = [m for m in body["messages"] if m["role"] in ("system", "developer")]
            self.obeyed_systems.append(_text(systems[-1]["content"]) if systems else "")
            return self._answer(body)

    def complaints(self, body: dict) -> Iterator[str]:
        """List what the endpoint would refuse in this body."""
        messages, tools = body.get("messages") or [], body.get("tools") or []
        if self.check_parameters:
            yield from rules.parameter_complaints(body)
        if self.check_schema:
            yield from rules.tool_complaints(tools, self.check_bounds)
        if not self.json_mode_with_tools and tools and "json" in str(body.get("response_format", "")):
            yield rules.JSON_MODE
        if self.check_messages:
            yield from rules.message_complaints(messages, name_required=self.name_required)
        if self.check_order:
            yield from rules.order_complaints(messages)
        if self.check_signatures:
            yield from rules.signature_complaints(messages, self.issued, self.current_turn_only)

    def _refuse(self, text: str) -> Answer:
        self.refusals.append(text)
        error = {"error": {"code": 400, "message": text, "status": "INVALID_ARGUMENT"}}
        return json_answer([error] if self.array_errors else error, 400)

    def _answer(self, body: dict) -> Answer:
        step = sum(1 for m in body["messages"] if m.get("tool_calls"))
        turn = self.turns[min(step, len(self.turns) - 1)] if body.get("tools") else Turn(self.title)
        asked = (body.get("stream_options") or {}).get("include_usage")
        odd = self.odd if asked or not body.get("stream") else replace(self.odd, usage_at="never")
        if not body.get("stream"):
            answer = build_completion(turn.text, turn.calls, odd)
            self._mark(answer["choices"][0]["message"].get("tool_calls") or [], step)
            return json_answer({**answer, "model": body.get("model")})
        chunks = [{**chunk, "model": body.get("model")} for chunk in build_chunks(turn.text, turn.calls, odd)]
        calls = [call for c in chunks for choice in c["choices"] for call in choice["delta"].get("tool_calls", ())]
        self._mark(calls, step)
        return sse_answer(chunks)

    def _mark(self, calls: list[dict], step: int) -> None:
        """Give calls their ids and the first one its signature of this step."""
        for number, call in enumerate(calls):
            serial = len(self.issued) * 16 + number + 1
            if self.id_style != "empty":
                call["id"] = f"c{serial:07x}" if self.id_style == "short" else f"function-call-{10**18 + serial}"
            if "extra_content" in call:
                signature = base64.b64encode(f"signature of step {step}, {serial}".encode()).decode()
                call["extra_content"] = {"google": {"thought_signature": signature}}
                self.issued.add(signature)


def _text(content: object) -> str:
    return content if isinstance(content, str) else "".join(p.get("text", "") for p in content)  # type: ignore[attr-defined]
