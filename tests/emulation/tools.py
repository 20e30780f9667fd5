"""Tools as agents declare them, and a reader's events gathered."""

from collections.abc import Iterable, Sequence
from typing import Any

from app.emulation.events import Call, Text
from app.emulation.tool_call_xml import ToolCallReader


def tool(name: str, required: Sequence[str] = (), /, **properties: Any) -> dict[str, Any]:
    """Declare a tool; a property's schema may be given as the name of its type."""
    schemas = {key: {"type": value} if isinstance(value, str) else value for key, value in properties.items()}
    parameters = {"type": "object", "properties": schemas, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": f"Runs {name}.", "parameters": parameters}}


TOOLS = [
    tool("bash", ["command"], command="string", timeout="integer"),
    tool("read", ["filePath"], filePath="string", limit="number"),
    tool("write", ["filePath", "content"], filePath="string", content="string"),
    tool("Todo_Read"),
]


def joined(events: Iterable[Any]) -> list[Any]:
    """Join texts that follow each other."""
    found: list[Any] = []
    for event in events:
        if isinstance(event, Text) and found and isinstance(found[-1], Text):
            found[-1] = Text(found[-1].text + event.text)
        else:
            found.append(event)
    return found


def read_pieces(pieces: Iterable[str], tools: Sequence[dict[str, Any]] = TOOLS, single: bool = False) -> list[Text | Call]:
    """Give the events of an answer that comes in these pieces."""
    reader = ToolCallReader(tools, single=single)
    events = [event for piece in pieces for event in reader.feed(piece)]
    return joined(events + reader.end())


def pieces_of(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]
