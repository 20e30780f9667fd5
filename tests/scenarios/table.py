"""What one row of the scenario table is: the upstream's answers in both modes, and what the client must get. No I/O."""

import re
from dataclasses import dataclass, field, replace

from tests.scenarios.builder import Call, Odd, answer_of, build_chunks, build_completion, stream_of
from tests.upstream_answers import Answer

GEMINI = "gemini-3-flash-preview"
PLAIN_MODEL = "plain-model"
RETRY_DIGITS = re.compile(r"429|500|502|503|504|524")
LEGAL_FINISH = ("stop", "length", "tool_calls", "content_filter")


def _tool(name: str, *fields: str) -> dict:
    properties = {f: {"type": "string", "description": f} for f in fields}
    parameters = {"type": "object", "properties": properties, "required": list(fields)}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}


TOOLS = [_tool("write", "path", "content"), _tool("glob", "pattern"), _tool("read", "path")]
TWO: tuple[Call, ...] = (
    ("write", {"path": "a.txt", "content": "alpha"}),
    ("write", {"path": "b.txt", "content": "béta"}),
)
ONE: tuple[Call, ...] = (("glob", {"pattern": "**/*.py"}),)


@dataclass(frozen=True)
class Expect:
    """What the client gets. `says` empty: exactly `text`; else the text contains `says`, any case ("*": any words)."""

    text: str = ""
    says: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = "stop"  # alternatives separated by |
    reasoning: str = ""
    usage: tuple[int, int, int] | None = None  # prompt, completion, total; None: whatever integers, or none at all
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    error_status: int | None = None  # HTTP status of an error answer; 0: the error comes as an event, headers were out
    error_code: str | None = None
    error_type: str | None = None
    error_says: str = ""
    headers: dict[str, str | None] = field(default_factory=dict)  # None: must be absent
    max_requests: int = 1  # how many requests the upstream may see
    second: "Expect | None" = None  # the choice with index 1
    otherwise: "Expect | None" = None  # a second outcome that is right as well


@dataclass(frozen=True)
class Scenario:
    """One misbehaviour. `stream`, `plain`: the answers, one per request, the last one repeats; empty: no such mode."""

    name: str
    stream: tuple[Answer, ...]
    plain: tuple[Answer, ...]
    expect: Expect
    expect_plain: Expect
    model: str = PLAIN_MODEL
    request: dict = field(default_factory=dict)

    def request_body(self, model: str, stream: bool) -> dict:
        """Give the client's request: tools offered, usage asked for, plus what the scenario needs."""
        body: dict = {"model": model, "messages": [{"role": "user", "content": "Go on."}], "tools": TOOLS}
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return {key: value for key, value in {**body, **self.request}.items() if value is not None}

    # the first answer, piece by piece, for tests without a socket
    @property
    def stream_body(self) -> bytes:
        return self.stream[0].body if self.stream else b""

    @property
    def json_body(self) -> bytes | None:
        return self.plain[0].body if self.plain else None

    @property
    def status(self) -> int:
        return (self.stream or self.plain)[0].status

    @property
    def headers(self) -> dict[str, str]:
        return (self.stream or self.plain)[0].headers


def scenario(
    name: str,
    stream: Answer | tuple[Answer, ...] = (),
    plain: Answer | tuple[Answer, ...] = (),
    expect: Expect = Expect(),  # noqa: B008 - frozen
    expect_plain: Expect | None = None,
    *,
    model: str = PLAIN_MODEL,
    request: dict | None = None,
) -> Scenario:
    """Write one row of the table; without `expect_plain` both modes expect the same."""
    streams = stream if isinstance(stream, tuple) else (stream,)
    plains = plain if isinstance(plain, tuple) else (plain,)
    return Scenario(name, streams, plains, expect, expect_plain or expect, model, request or {})


def turn(
    name: str,
    odd: Odd | None = None,
    text: str = "",
    calls: tuple[Call, ...] = (),
    expect: Expect | None = None,
    expect_plain: Expect | None = None,
    model: str = PLAIN_MODEL,
) -> Scenario:
    """Write a row that says one turn, oddly, in both modes; without `expect` it arrives as OpenAI would say it."""
    odd = odd or Odd()
    right = Expect(text, calls=calls, finish="tool_calls" if calls else "stop", reasoning=odd.reasoning)
    if odd.usage_at not in ("never", "null"):
        right = replace(right, usage=(10, 5, 15))
    stream, plain = stream_of(build_chunks(text, calls, odd)), answer_of(build_completion(text, calls, odd))
    return scenario(name, stream, plain, expect or right, expect_plain or expect, model=model)
