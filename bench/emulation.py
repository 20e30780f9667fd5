"""Measures the readers of emulated tool calls alone, in this process: what a chunk of text and of a call costs.

A case is one line in CASES: a reader and an answer of about so many characters. The note tells how much longer ten times
the answer takes: about 10, as long as nothing is looked at twice.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol

from bench.measure import Row
from bench.repairs import best

CHUNK = 5  # characters
SIZE = 100_000
PARAMETERS = {"type": "object", "properties": {"filePath": {"type": "string"}, "content": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "write", "parameters": {**PARAMETERS, "required": ["filePath", "content"]}}}]


class Reader(Protocol):
    """What all readers can."""

    def feed(self, text: str) -> Any: ...


class Case(NamedTuple):
    """One row: `reader()` makes a fresh reader, `answer(size)` the text it reads, `end(reader)` ends it."""

    name: str
    reader: Callable[[], Any]
    answer: Callable[[int], str]
    end: Callable[[Any], object] = lambda reader: reader.end()


def tool_call_reader() -> Any:
    from app.emulation.tool_call_xml import ToolCallReader

    return ToolCallReader(TOOLS)


def harmony_reader() -> Any:
    from app.emulation.harmony_text import HarmonyReader

    return HarmonyReader({"write": "write"}, tools=TOOLS)


def simple_reader() -> Any:
    from app.emulation.harmony_simple_text import SimpleReader

    return SimpleReader({"write": "write"}, tools=TOOLS)


def prose(size: int) -> str:
    return ("Some words of plain text, `code` and a < b.\n" * (size // 44 + 1))[:size]


def arguments_of(size: int) -> dict[str, str]:
    """Arguments that hold a file."""
    lines = "".join(f"    value_{n} = compute('{n}', \"x\")\n" for n in range(size // 34))
    return {"filePath": "src/module.py", "content": lines}


def call(size: int) -> str:
    """One call whose argument is a file."""
    return f"<tool_call>\n{json.dumps({'name': 'write', 'arguments': arguments_of(size)})}\n</tool_call>"


def calls(size: int) -> str:
    """Many short calls."""
    block = json.dumps({"name": "write", "arguments": {"filePath": "a.txt", "content": "x = 1\n"}})
    return f"<tool_call>\n{block}\n</tool_call>\n" * (size // (len(block) + 25))


def repeated(text: str) -> Callable[[int], str]:
    return lambda size: text * (size // len(text))


def channel(name: str) -> Callable[[int], str]:
    return lambda size: f"<|channel|>{name}<|message|>{prose(size)}<|end|>"


def harmony_call(size: int) -> str:
    header = "<|channel|>commentary to=functions.write <|constrain|>json<|message|>"
    return f"{header}{json.dumps(arguments_of(size))}<|call|>"


def simple_call(size: int) -> str:
    return f"<|tool_call|>write({json.dumps(arguments_of(size))})<|end_tool_call|>"


def stripped(size: int) -> str:
    return f"analysisWe think. {prose(size)}assistantfinalfour"


CASES = (
    Case("tool calls in text: words", tool_call_reader, prose),
    Case("tool calls in text: one call with a file", tool_call_reader, call),
    Case("tool calls in text: short calls", tool_call_reader, calls),
    Case("tool calls in text: nothing but <", tool_call_reader, repeated("<")),
    Case("tool calls in text: nothing but {", tool_call_reader, repeated("{")),
    Case("tool calls in text: nothing but <tool_call>", tool_call_reader, repeated("<tool_call>")),
    Case("Harmony: reasoning", harmony_reader, channel("analysis")),
    Case("Harmony: an answer", harmony_reader, channel("final")),
    Case("Harmony: reasoning, its tokens left out", harmony_reader, stripped),
    Case("Harmony: one call with a file", harmony_reader, harmony_call),
    Case("Harmony: nothing but <", harmony_reader, repeated("<")),
    Case("Harmony: nothing but <|start|>", harmony_reader, repeated("<|start|>")),
    Case("simplified dialect: words", simple_reader, prose),
    Case("simplified dialect: one call with a file", simple_reader, simple_call),
)


def measure_emulation(repeats: int = 5, size: int = SIZE) -> Iterator[Row]:
    """Measure each case: answers of `size` and of ten times as many characters, in chunks of five."""
    for case in CASES:
        short, long = case.answer(size), case.answer(10 * size)
        seconds = best(partial(read, case, short), repeats)
        ratio = best(partial(read, case, long), repeats) / seconds
        chunk_us = seconds / max(1, len(short) / CHUNK) * 1_000_000
        yield Row(case.name, repeats, 0, chunk_us=chunk_us, note=f"in process, fastest; x 10 takes x {ratio:.1f}")


def read(case: Case, text: str) -> None:
    """Read one answer."""
    reader: Reader = case.reader()
    feed = reader.feed
    for at in range(0, len(text), CHUNK):
        feed(text[at : at + CHUNK])
    case.end(reader)
