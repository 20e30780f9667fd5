"""One tool: an annotated function read as a JSON-schema definition. Its docstring is the description; it runs nothing.

    def greet(name: Annotated[str, "Who is greeted"], times: int = 1) -> str:
        "Greet somebody."

A parameter's description is the text in Annotated, else its line under "Args:" in the docstring.
"""

import enum
import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from app.errors import ConfigError

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what OpenAI takes as the name of a function
SIMPLE: Mapping[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null"}
_ARGUMENT = re.compile(r"^\s+\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.+)$")


class ToolError(Exception):
    """A tool could not do what it was asked; the text is the answer to who asked."""


class Tool(NamedTuple):
    """A tool: `parameters` is a JSON schema of an object, `run` takes its properties as keywords."""

    name: str
    description: str
    parameters: dict[str, Any]
    run: Callable[..., Any]

    @property
    def definition(self) -> dict[str, Any]:
        """The tool as GET /api/tools shows it."""
        return {"name": self.name, "description": self.description, "parameters": self.parameters}

    @property
    def openai(self) -> dict[str, Any]:
        """The tool as a chat request offers it."""
        return {"type": "function", "function": self.definition}


def tool_of(function: Callable[..., Any]) -> Tool:
    """Read a function as a tool. Raises ConfigError that names the function and what is wrong with it."""
    name = getattr(function, "__name__", "")
    if not NAME.fullmatch(name):
        raise ConfigError(f"tool {name!r}: a name has 1 to 64 letters, digits, _ and -")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(f"tool {name}: must be a plain function, not an async one")
    text = inspect.getdoc(function) or ""
    description = " ".join(text.partition("\n\n")[0].split())
    if not description:
        raise ConfigError(f"tool {name}: has no docstring, which is its description")
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise ConfigError(f"tool {name}: an annotation cannot be read ({error})") from None
    return Tool(name, description, parameters_of(name, function, hints, argument_lines(text)), function)


def parameters_of(
    name: str, function: Callable[..., Any], hints: Mapping[str, Any], lines: Mapping[str, str]
) -> dict[str, Any]:
    """Return the schema of a function's parameters. Raises ConfigError."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        where = f"tool {name}: parameter {parameter.name}"
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ConfigError(f"{where}: cannot be passed by its name")
        if parameter.name not in hints:
            raise ConfigError(f"{where}: has no type annotation")
        schema = schema_of(hints[parameter.name], where)
        if "description" not in schema and parameter.name in lines:
            schema["description"] = lines[parameter.name]
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        elif isinstance(parameter.default, str | int | float | bool | list | dict):
            schema["default"] = parameter.default
        properties[parameter.name] = schema
    return {"type": "object", "properties": properties, "required": required}


def schema_of(hint: Any, where: str) -> dict[str, Any]:
    """Return the JSON schema of a type annotation. Raises ConfigError for one that JSON cannot say."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        texts = [text for text in arguments[1:] if isinstance(text, str)]
        return schema_of(arguments[0], where) | ({"description": texts[0]} if texts else {})
    if hint is Any:
        return {}
    if hint in SIMPLE:
        return {"type": SIMPLE[hint]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return union_of([schema_of(each, where) for each in arguments])
    if hint in (list, dict):
        return {"type": "array" if hint is list else "object"}
    if origin in (list, Sequence) and len(arguments) == 1:
        return {"type": "array", "items": schema_of(arguments[0], where)}
    if origin in (dict, Mapping) and arguments[0] is str:
        return {"type": "object", "additionalProperties": schema_of(arguments[1], where)}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        raise ConfigError(f"{where}: use Literal[…] in place of an Enum: the function gets the value as JSON has it")
    raise ConfigError(f"{where}: the type {hint!r} has no JSON schema here")


def union_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """Join the schemas of a union; plain types become one list of types, which every dialect understands best."""
    if all(set(schema) == {"type"} for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    return {"anyOf": schemas}


def argument_lines(text: str) -> dict[str, str]:
    """Return parameter -> description from the lines under "Args:" of a docstring."""
    _, found, rest = text.partition("\nArgs:\n")
    lines: dict[str, str] = {}
    for line in rest.splitlines() if found else ():
        if not line.strip():
            break
        if argument := _ARGUMENT.match(line):
            lines[argument[1]] = argument[2].strip()
    return lines
