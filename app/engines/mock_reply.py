"""What the mock says to a request: script, forced tool, JSON, canned text or echo; knows neither chunks nor time."""

import json
import re
import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from app.engines import mock_script
from app.engines.mock_instance import instance_of
from app.engines.mock_script import AUTOMATIC, TOOL_ROLES, Message, Scenario, Step
from app.errors import ConfigError, InvalidRequest
from app.utils import tokens

CANNED = (
    "Based on the context, I recommend this approach...",
    "Start with the smallest change that could work, then let the tests tell you what is missing.",
    "There are two ways to do this. The first is shorter, the second is easier to change later.",
    "I would look at the input first: print it where it enters, and compare it with what you expect.",
    "This function does two things. Split it, give each half a name, and the bug will have fewer places to hide.",
    "Here is an outline:\n\n1. Read the file.\n2. Check what is in it.\n3. Write the result.",
    "That should work. Run it once with an empty list and once with a very long one to be sure.",
)
TITLE_REQUEST = re.compile(r"title generator|generate a title for this conversation", re.IGNORECASE)
TITLE_WORDS = 6
MAX_CHOICES = 128  # OpenAI's limit


@dataclass(frozen=True)
class Call:
    """One tool call of an answer; `arguments` is the text that is sent."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Choice:
    """One of the n answers; `finish_reason` None means that none is sent."""

    text: str | None
    finish_reason: str | None
    reasoning: str | None = None
    calls: Sequence[Call] = ()


@dataclass(frozen=True)
class Reply:
    """All that is said to one request; `step` says how it is sent, `usage` None that it is not told."""

    choices: Sequence[Choice]
    usage: Mapping[str, Any] | None
    step: Step = field(default_factory=Step)


def reply_to(body: dict[str, Any], options: Mapping[str, Any], otherwise: Scenario | None = None) -> Reply:
    """Decide what to say. `options` are the target's own, `otherwise` the scenario for requests that bring none.

    Raises InvalidRequest for a bad scenario or an unknown forced tool, ConfigError for a bad option.
    """
    step = step_of(body, otherwise)
    count = body.get("n")
    count = min(max(1, count), MAX_CHOICES) if isinstance(count, int) else 1
    choices = [choice_of(body, options, step, number) for number in range(count)]
    return Reply(choices, usage_of(body, choices, step), step)


def step_of(body: dict[str, Any], otherwise: Scenario | None) -> Step:
    """Return the scripted step for a request, an empty one when no script speaks. Raises InvalidRequest."""
    messages = messages_of(body)
    if is_title_request(body):
        return Step()
    if body.get("mock") is not None:
        step = mock_script.step_for(mock_script.parse_scenario(body["mock"]), messages)
    elif found := mock_script.scenario_in(messages):
        step = mock_script.step_for(found[0], messages, found[1])
    else:
        step = mock_script.step_for(otherwise, messages) if otherwise else None
    return step or Step()


def messages_of(body: Mapping[str, Any]) -> Sequence[Message]:
    messages = body.get("messages")
    return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []


def is_title_request(body: Mapping[str, Any]) -> bool:
    """Tell the side request in which an agent wants a name for the conversation: it must not use up a turn."""
    first = messages_of(body)[:1]
    return not body.get("tools") and any(TITLE_REQUEST.search(text) for m in first for text in mock_script.texts_of(m))


def choice_of(body: dict[str, Any], options: Mapping[str, Any], step: Step, number: int) -> Choice:
    """Return one choice, cut as `stop` and `max_tokens` ask."""
    messages = messages_of(body)
    text, calls = scripted(step, messages)
    if text is None and not calls:
        calls = forced_calls(body)
        text = None if calls else usual_text(body, options, number)
    finish: str | None = "stop"
    if text is not None:
        text, finish = limited(text, body)
    if step.finish_reason != AUTOMATIC:
        finish = step.finish_reason
    elif calls:
        finish = "tool_calls"
    return Choice(text, finish, mock_script.fill(step.reasoning, messages), calls)


def scripted(step: Step, messages: Sequence[Message]) -> tuple[str | None, list[Call]]:
    """Return text and tool calls of a step; neither when it leaves them to the mock."""
    expected, result = mock_script.fill(step.expect, messages), mock_script.last_tool_text(messages)
    if expected and expected not in result:
        return f"The mock expected {expected!r} in the last tool result, but it was: {result or '(there is none)'}", []
    text = "" if step.empty else mock_script.fill(step.text, messages)
    calls = (call_of(call["name"], call.get("arguments", {}), messages, call.get("id")) for call in step.tool_calls)
    return text, list(calls)


def call_of(name: str, arguments: object, messages: Sequence[Message] = (), id: str | None = None) -> Call:
    """Return a tool call with its placeholders filled; an id is made up where none is given."""
    arguments = mock_script.fill(arguments, messages)
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return Call(f"call_{secrets.token_hex(12)}" if id is None else id, mock_script.fill(name, messages), text)


# --- without a script -----------------------------------------------------------------------------------------------


def forced_calls(body: dict[str, Any]) -> list[Call]:
    """Return the tool call that `tool_choice` demands, with the smallest valid arguments; none after a tool's answer.

    Raises InvalidRequest when the demanded tool is not among the tools.
    """
    tools = [tool.get("function") for tool in body.get("tools") or () if isinstance(tool, dict)]
    offered = [function for function in tools if isinstance(function, dict)]
    name = forced_name(body.get("tool_choice"), offered)
    messages = messages_of(body)
    if name is None or (messages and messages[-1].get("role") in TOOL_ROLES):
        return []
    function = next((function for function in offered if function.get("name") == name), None)
    if function is None:
        raise InvalidRequest(f"Tool choice {name!r} is not among the tools.", param="tool_choice")
    arguments = instance_of(function.get("parameters") or {"type": "object"})
    return [call_of(name, arguments if isinstance(arguments, dict) else {})]


def forced_name(choice: object, offered: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the name of the function that a `tool_choice` forces, None when it forces none."""
    if isinstance(choice, dict) and isinstance(choice.get("function"), dict):
        return str(choice["function"].get("name"))
    if isinstance(choice, dict) and isinstance(allowed := choice.get("allowed_tools"), dict):
        named = [tool.get("function", {}) for tool in allowed.get("tools") or () if isinstance(tool, dict)]
        return forced_name(allowed.get("mode"), [function for function in named if function.get("name")])
    return str(offered[0].get("name")) if choice == "required" and offered else None


def usual_text(body: dict[str, Any], options: Mapping[str, Any], number: int) -> str:
    """Return what the mock says without a script: a title, JSON, a tool's answer, a canned text, or the echo."""
    messages = messages_of(body)
    said = mock_script.last_user_text(messages)
    if is_title_request(body):
        return " ".join(said.replace('"', " ").split()[:TITLE_WORDS]) or "Mock conversation"
    results = list(takewhile(lambda message: message.get("role") in TOOL_ROLES, reversed(messages)))
    if results:
        text = "The tool answered: " + "\n".join(map(mock_script.tool_text, reversed(results)))
    elif (seed := canned_seed(body, options, said)) is not None:
        text = CANNED[(seed + number) % len(CANNED)]
    else:
        text = said if said.strip() else CANNED[0]
    return as_json(text, body.get("response_format"))


def canned_seed(body: dict[str, Any], options: Mapping[str, Any], said: str) -> int | None:
    """Return the number that chooses a canned text, None for the echo. Raises ConfigError for an unknown `reply`."""
    reply, seed = options.get("reply"), body.get("seed")
    if reply not in (None, "echo", "canned"):
        raise ConfigError(f"option reply of the mock is {reply!r}; allowed are echo, canned")
    if isinstance(seed, int) and reply != "echo":
        return seed
    return zlib.crc32(said.encode("utf-8", "replace")) if reply == "canned" else None


def as_json(text: str, wanted: object) -> str:
    """Return what `response_format` asks for: an instance of the schema, an object around the text, or the text."""
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_object":
        return json.dumps({"text": text}, ensure_ascii=False)
    if kind == "json_schema" and isinstance(wanted, dict):
        described = wanted.get("json_schema")
        schema = described.get("schema") if isinstance(described, dict) else None
        return json.dumps(instance_of(schema or {"type": "object"}), ensure_ascii=False)
    return text


# --- limits and counts ----------------------------------------------------------------------------------------------


def limited(text: str, body: Mapping[str, Any]) -> tuple[str, str]:
    """Cut a text at the first stop sequence, then to the token limit; return it with its finish_reason."""
    stops = body.get("stop")
    for stop in [stops] if isinstance(stops, str) else stops or ():
        if isinstance(stop, str) and stop:
            text = text.split(stop, 1)[0]
    for name in ("max_completion_tokens", "max_tokens"):
        most = body.get(name)
        if isinstance(most, int) and not isinstance(most, bool) and tokens.count_text(text) > most >= 0:
            return text[: most * tokens.CHARACTERS_PER_TOKEN], "length"
    return text, "stop"


def usage_of(body: dict[str, Any], choices: Sequence[Choice], step: Step) -> Mapping[str, Any] | None:
    """Count what was asked and said; the script may give other numbers, or none."""
    if step.usage is not None:
        return step.usage if isinstance(step.usage, Mapping) else None
    reasoning = sum(tokens.count_text(choice.reasoning or "") for choice in choices)
    return tokens.usage(tokens.count_request(body), reasoning + sum(map(said_tokens, choices)), reasoning)


def said_tokens(choice: Choice) -> int:
    """Count the tokens of a choice's text, and of names and arguments of its tool calls."""
    return tokens.count_text("".join([choice.text or "", *(call.name + call.arguments for call in choice.calls)]))
