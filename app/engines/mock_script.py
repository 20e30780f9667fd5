"""The scenario language of the mock model: parses and picks steps, fills placeholders; sends and waits nothing.

A scenario tells the mock what to say, turn by turn, so that an agent can be led through a task without a model:

    {"turns": [
        {"tool_calls": [{"name": "write", "arguments": {"filePath": "{{cwd}}/hello.txt", "content": "Hi\\n"}}]},
        {"expect": "successfully", "text": "The tool said: {{last_tool}}"}
    ]}

**Where it is given**, the first that is there: the top-level field `mock` of the request; a text of a user, system or
developer message (the last one that holds a scenario), as a block fenced with ```` ```mock-script ```` or as
`mock-script: {…}`; the provider's option `script` in opencode.json (a path, or the scenario itself); the file that
GATEWAY_MOCK_SCRIPT names. Paths are relative to the gateway's folder.

**Which turn it is**: the number of assistant answers after the message that gave the scenario (in the whole
conversation, when it came another way). The mock remembers nothing, so a request that is repeated gets the same turn.
After the last turn the mock answers as it does without a scenario. An object without `turns` is one step: it answers
every turn, except that tools are called in the first turn only. Requests for a conversation's title use up no turn.

**Fields of a step**; a step that says nothing (no text, tool call, `empty`) keeps the mock's usual answer:

| field | meaning |
|---|---|
| `text`, `reasoning` | the answer's text, and what was thought before (`reasoning_content`) |
| `tool_calls` | list of `{name, arguments, id?}`; `arguments` is an object, or a string that is sent as it is |
| `empty` | true: an answer without text |
| `finish_reason` | any string instead of the right one; null: none is sent |
| `usage` | an object instead of the counts; false: none is sent |
| `error` | `{status, message, type, code, retry_after}`: refuse with this (all optional, status 500) |
| `error_after` | fail after N chunks of the stream (with `error`, if given) |
| `cut_after` | end the stream after N chunks, without finish and `[DONE]` |
| `stall_after`, `seconds` | say nothing for so many seconds (30) after N chunks |
| `delay` | seconds between two chunks |
| `chunk` | `word` (usual), `char`, or `whole` |
| `arguments_pieces` | send arguments in pieces of N characters |
| `expect` | text that the last tool result must contain, else the answer says that it did not |
| `raw_chunks` | chunks of a streamed answer, sent as they are; a list among them leaves in one piece |
| `raw_answer` | a whole answer, sent as it is |

N = 0 is before anything was sent, N beyond the end is after everything but `[DONE]`. Without streaming `error_after`
is an error and `cut_after` an upstream that hung up. **Placeholders** in texts and arguments: `{{last_user}}` (without
the scenario), `{{last_tool}}`, `{{cwd}}` (the working directory that the agent's prompt names, else `.`).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidRequest

AUTOMATIC = "(automatic)"  # a finish_reason that no script would write
FENCE = re.compile(r"```mock-script\s*\n(.*?)```", re.DOTALL)
LINE = re.compile(r"mock-script:\s*(?=\{)")
PLACEHOLDER = re.compile(r"\{\{\s*(last_user|last_tool|cwd)\s*\}\}")
# The wordings of the agents whose prompts were recorded; an absolute path must follow.
WORKING_DIRECTORY = re.compile(
    r"working (?:directory|in the directory)[:\s(]+((?:/|~|[A-Za-z]:[\\/])[^\n)]*)", re.IGNORECASE
)
PROMPT_ROLES, TOOL_ROLES = ("user", "system", "developer"), ("tool", "function")

Message = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One scripted answer; the fields are those of the language, None where the script says nothing."""

    text: str | None = None
    reasoning: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] = ()
    empty: bool = False
    finish_reason: str | None = AUTOMATIC
    usage: Mapping[str, Any] | bool | None = None
    error: Mapping[str, Any] | None = None
    error_after: int | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    seconds: float = 30
    delay: float | None = None
    chunk: str = "word"
    arguments_pieces: int | None = None
    expect: str | None = None
    raw_chunks: Sequence[Any] | None = None
    raw_answer: dict[str, Any] | None = None


@dataclass(frozen=True)
class Scenario:
    """The steps in order; `lasting` means that the only step answers every turn."""

    turns: tuple[Step, ...]
    lasting: bool = False


# --- what a step may say --------------------------------------------------------------------------------------------


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 86400


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_text_or_null(value: object) -> bool:
    return value is None or isinstance(value, str)


def is_object(value: object) -> bool:
    return isinstance(value, dict)


def is_chunks(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) or (isinstance(item, list) and all(isinstance(chunk, dict) for chunk in item))
        for item in value
    )


Rule = tuple[Callable[[Any], bool], str]

STEP_RULES: Mapping[str, Rule] = {
    "text": (is_text, "a string"),
    "reasoning": (is_text, "a string"),
    "tool_calls": (lambda value: isinstance(value, list), "a list"),
    "empty": (lambda value: isinstance(value, bool), "true or false"),
    "finish_reason": (is_text_or_null, "a string or null"),
    "usage": (lambda value: value is False or is_object(value), "an object or false"),
    "error": (is_object, "an object"),
    "error_after": (is_count, "a whole number from 0"),
    "cut_after": (is_count, "a whole number from 0"),
    "stall_after": (is_count, "a whole number from 0"),
    "seconds": (is_seconds, "a number from 0 to 86400"),
    "delay": (is_seconds, "a number from 0 to 86400"),
    "chunk": (lambda value: value in ("word", "char", "whole"), "word, char or whole"),
    "arguments_pieces": (lambda value: is_count(value) and value > 0, "a whole number from 1"),
    "expect": (is_text, "a string"),
    "raw_chunks": (is_chunks, "a list of objects, or of lists of objects"),
    "raw_answer": (is_object, "an object"),
}
CALL_RULES: Mapping[str, Rule] = {
    "name": (is_text, "a string"),
    "arguments": (lambda value: isinstance(value, (dict, str)), "an object or a string"),
    "id": (is_text, "a string"),
}
ERROR_RULES: Mapping[str, Rule] = {
    "status": (lambda value: is_count(value) and 400 <= value <= 599, "a status from 400 to 599"),
    "message": (is_text, "a string"),
    "type": (is_text_or_null, "a string or null"),
    "code": (is_text_or_null, "a string or null"),
    "retry_after": (is_seconds, "a number of seconds"),
}


def parse_scenario(value: object) -> Scenario:
    """Check a decoded scenario. Raises InvalidRequest (param `mock`) that says where it is wrong, and what may be."""
    if not isinstance(value, dict):
        raise bad("", "must be an object")
    if "turns" not in value:
        return Scenario((parse_step(value, ""),), lasting=True)
    if unknown := [name for name in value if name != "turns"]:
        raise bad(unknown[0], "is not known beside turns")
    turns = value["turns"]
    if not isinstance(turns, list) or not turns:
        raise bad("turns", "must be a list of at least one step")
    return Scenario(tuple(parse_step(step, f"turns[{number}]") for number, step in enumerate(turns)))


def parse_step(value: object, where: str) -> Step:
    """Check one step that stands at `where`. Raises InvalidRequest."""
    fields = checked(value, STEP_RULES, where)
    for number, call in enumerate(fields.get("tool_calls", ())):
        place = joined(where, f"tool_calls[{number}]")
        if "name" not in checked(call, CALL_RULES, place):
            raise bad(f"{place}.name", "is missing")
    if "error" in fields:
        checked(fields["error"], ERROR_RULES, joined(where, "error"))
    return Step(**fields)


def checked(value: object, rules: Mapping[str, Rule], where: str) -> dict[str, Any]:
    """Return an object whose fields all obey the rules. Raises InvalidRequest."""
    if not isinstance(value, dict):
        raise bad(where, "must be an object")
    for name, field in value.items():
        if name not in rules:
            raise bad(joined(where, name), f"is not known; known are {', '.join(rules)}")
        allows, what = rules[name]
        if not allows(field):
            raise bad(joined(where, name), f"must be {what}")
    return value


def joined(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def bad(where: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"mock scenario: {where or 'it'} {what}", param="mock")


# --- a scenario inside a conversation -------------------------------------------------------------------------------


def scenario_in(messages: Sequence[Message]) -> tuple[Scenario, int] | None:
    """Find the last scenario in the prompts of a conversation, and the position of its message.

    Raises InvalidRequest when what is marked as a scenario is none.
    """
    for position in range(len(messages) - 1, -1, -1):
        if messages[position].get("role") in PROMPT_ROLES:
            for text in texts_of(messages[position]):
                if marked := find_marked(text):
                    return parse_scenario(decode(marked[2])), position
    return None


def find_marked(text: str) -> tuple[int, int, str] | None:
    """Find the marked scenario in a text: start and end of what to cut out, and its JSON; None without a mark."""
    if fence := FENCE.search(text):
        return fence.start(), fence.end(), fence[1]
    if mark := LINE.search(text):
        end, source = read_object(text, mark.end())
        return mark.start(), end, source
    return None


def read_object(text: str, start: int) -> tuple[int, str]:
    """Read one JSON object that begins at `start`; where it is broken, take the rest of the line.

    Agents that take their prompt from a command line may put it in quotes and a backslash before each quote in it.
    """
    rest = text[start:]
    for source in (rest, rest.replace('\\"', '"')):
        try:
            _, end = json.JSONDecoder().raw_decode(source)
        except (ValueError, RecursionError):
            continue
        found = source[:end]
        return start + end + (0 if source is rest else found.count('"')), found
    line = rest.split("\n", 1)[0]
    return start + len(line), line


def decode(source: str) -> object:
    """Decode a scenario's JSON. Raises InvalidRequest that says where it breaks."""
    try:
        return json.loads(source)
    except (ValueError, RecursionError) as error:
        raise bad("", f"is not JSON ({error})") from None


def without_scenario(text: str) -> str:
    """Return a text without the scenario in it; unchanged when there is none."""
    marked = find_marked(text)
    return (text[: marked[0]] + text[marked[1] :]).strip() if marked else text


def step_for(scenario: Scenario, messages: Sequence[Message], position: int = -1) -> Step | None:
    """Return the step for the turn that a conversation is in, None after the last one.

    `position` is that of the message that gave the scenario, -1 when it came another way.
    """
    turn = turns_taken(messages[position + 1 :])
    if scenario.lasting:
        return scenario.turns[0] if turn == 0 or not scenario.turns[0].tool_calls else None
    return scenario.turns[turn] if turn < len(scenario.turns) else None


def turns_taken(messages: Sequence[Message]) -> int:
    """Count the answers in a conversation; assistant messages in a row are one answer that a client has split."""
    roles = [message.get("role") for message in messages]
    return sum(role == "assistant" and before != role for before, role in zip([None, *roles], roles, strict=False))


# --- what a conversation says ---------------------------------------------------------------------------------------


def texts_of(message: Message) -> Iterator[str]:
    """Yield the texts of a message, with what is no text named: [image], [audio], [file]."""
    content = message.get("content")
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            kind = str(part.get("type") or "")
            named = next((f"[{name}]" for name in ("image", "audio", "file") if name in kind), "")
            text = part.get("text", named)
            yield text if isinstance(text, str) else named


def text_of(message: Message) -> str:
    """Join the texts of a message, one a line, without a scenario."""
    return "\n".join(text for text in map(without_scenario, texts_of(message)) if text)


def last_user_text(messages: Sequence[Message]) -> str:
    """Return what the user said last, empty when nothing."""
    return next((text_of(message) for message in reversed(messages) if message.get("role") == "user"), "")


def last_tool_text(messages: Sequence[Message]) -> str:
    """Return the last result of a tool, empty without any."""
    return next((tool_text(message) for message in reversed(messages) if message.get("role") in TOOL_ROLES), "")


def tool_text(message: Message) -> str:
    """Join the texts of a tool result; a tool may have read a scenario from a file, so nothing is cut out."""
    return "\n".join(texts_of(message))


def working_directory(messages: Sequence[Message]) -> str:
    """Return the working directory that an agent's prompt names, `.` when it names none."""
    texts = (text for message in messages if message.get("role") in PROMPT_ROLES for text in texts_of(message))
    found = next((match for text in texts if (match := WORKING_DIRECTORY.search(text))), None)
    return found[1].strip() if found else "."


def fill(value: Any, messages: Sequence[Message]) -> Any:
    """Return a value with the placeholders in all its strings replaced."""
    sources = {"last_user": last_user_text, "last_tool": last_tool_text, "cwd": working_directory}
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: sources[found[1]](messages), value)
    if isinstance(value, Mapping):
        return {name: fill(inner, messages) for name, inner in value.items()}
    return [fill(inner, messages) for inner in value] if isinstance(value, (list, tuple)) else value
