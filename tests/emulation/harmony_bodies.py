"""Bodies for the tests of both text dialects: well-formed OpenAI requests, drawn at random, with texts of choice."""

import json
import re
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

AGENTS = Path(__file__).parent.parent / "fixtures" / "agents"
CAPTURED = {path.stem: json.loads(path.read_text("utf-8"))["body"] for path in sorted(AGENTS.glob("*.json"))}

TOKENS = """start end message channel constrain return call startoftext endoftext endofprompt reserved_200013""".split()
MARKS = "system user assistant tool_call end_tool_call tool_result".split()
FIND_TOKENS = re.compile(rf"<\|(?:{'|'.join(TOKENS)})\|>")
FIND_ALL = re.compile(rf"<\|(?:{'|'.join(TOKENS + MARKS)})\|>")
HOSTILE = st.lists(
    st.sampled_from([f"<|{name}|>" for name in TOKENS + MARKS] + ["<|", "|>", "<", "end", "\u200d", "\n", "한", "a"]),
    max_size=6,
).map(lambda fragments: "x" + "".join(fragments))
NAMES = ("read_file", "read-file", "python", "1st tool", "<|end|>")


@st.composite
def bodies(draw: Any, texts: st.SearchStrategy[str]) -> dict:
    """Draw a request; every text in it that a client or a tool wrote comes from `texts`."""

    def content() -> object:
        parts = [{"type": "text", "text": draw(texts)}, {"type": "image_url", "image_url": {"url": draw(texts)}}]
        return draw(st.sampled_from([None, "", parts, parts[:1], []])) if draw(st.booleans()) else draw(texts)

    messages: list[dict] = []
    for turn in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["system", "developer", "user", "assistant", "calls", "tool"]))
        message: dict[str, Any] = {"role": "assistant" if kind == "calls" else kind, "content": content()}
        if kind in ("assistant", "calls"):
            message |= {"reasoning_content": draw(texts), "refusal": draw(st.none() | texts)}
        if kind == "calls":
            message["tool_calls"] = [
                {
                    "id": f"c{turn}{n}",
                    "type": "function",
                    "function": {"name": draw(st.sampled_from(NAMES)), "arguments": a},
                }
                for n, a in enumerate(draw(st.lists(texts | st.just('{"a": 1}'), min_size=1, max_size=3)))
            ]
        if kind == "tool":
            message["tool_call_id"] = f"c{draw(st.integers(0, 3))}0"
        messages.append(message)
    body: dict[str, Any] = {"model": "m", "messages": messages}
    if draw(st.booleans()):
        body["tools"] = [draw(tools(texts, name)) for name in draw(st.lists(st.sampled_from(NAMES), max_size=3))]
        named = {"type": "function", "function": {"name": draw(st.sampled_from(NAMES))}}
        body["tool_choice"] = draw(st.sampled_from([None, "auto", "none", "required", named]))
    if draw(st.booleans()):
        schema = {"type": "object", "description": draw(texts)}
        form = {"name": draw(texts), "description": draw(texts), "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    body["reasoning_effort"] = draw(st.sampled_from([None, "minimal", "low", "medium", "high", "xhigh"]))
    return body


@st.composite
def tools(draw: Any, texts: st.SearchStrategy[str], name: str) -> dict:
    """Draw a tool whose schema carries the texts as keys, descriptions, words and defaults."""
    word = {"type": "string", "enum": [draw(texts)], "title": draw(texts), "examples": [draw(texts)]}
    union = {"oneOf": [{"type": "string", "description": draw(texts)}], "default": draw(texts)}
    properties = {"a": word, draw(texts): {"type": "number", "description": draw(texts)}, "u": union}
    parameters = draw(st.sampled_from([None, {}, {"type": "object", "properties": properties}]))
    return {"type": "function", "function": {"name": name, "description": draw(texts), "parameters": parameters}}


def harmless(value: object) -> Any:
    """Return `value` with every mark in its strings taken apart."""
    if isinstance(value, str):
        return value.replace("<|", "< |")
    if isinstance(value, list):
        return [harmless(one) for one in value]
    if isinstance(value, dict):
        return {harmless(name): harmless(one) for name, one in value.items()}
    return value
