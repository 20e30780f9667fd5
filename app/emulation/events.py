"""What a reader finds in a model's text: text for the user, reasoning, tool calls, the end."""

from typing import NamedTuple, TypeAlias


class Text(NamedTuple):
    """Text of the answer, free of markup."""

    text: str


class Reasoning(NamedTuple):
    """Text of the model's reasoning."""

    text: str


class Call(NamedTuple):
    """One complete tool call, and what was wrong with it.

    `arguments` is the JSON text of an object. `problem` says in one line why the call does not fit its schema, or that it
    was cut off; None when it is sound. `notes` are the repairs made ("closed", "bare string wrapped", …). `raw` is the call
    as the model wrote it.
    """

    name: str
    arguments: str = "{}"
    problem: str | None = None
    notes: tuple[str, ...] = ()
    raw: str = ""


class End(NamedTuple):
    """The model ended its answer: "stop", "tool_calls" or "length"."""

    finish: str


Event: TypeAlias = Text | Reasoning | Call | End
