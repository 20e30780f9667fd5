"""The tools by name: their definitions, and one way to run them that always answers {success, result, error}."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from app.errors import ConfigError
from app.tools.tool import Tool, ToolError
from app.utils.json_text import dump, load

log = logging.getLogger("gateway")


class Registry:
    """Tools with different names, in the order they were given."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        """Raise ConfigError when two tools have the same name."""
        self.tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self.tools:
                raise ConfigError(f"there are two tools called {tool.name!r}")
            self.tools[tool.name] = tool

    def definitions(self) -> list[dict[str, Any]]:
        """List name, description and JSON schema of each tool, as GET /api/tools shows them."""
        return [tool.definition for tool in self.tools.values()]

    def openai_tools(self) -> list[dict[str, Any]]:
        """List the tools as the `tools` of a chat request."""
        return [tool.openai for tool in self.tools.values()]

    def execute(self, name: str, arguments: Mapping[str, Any] | str | None = None) -> dict[str, Any]:
        """Run a tool and return {"success", "result", "error"}; whatever goes wrong is the error's text.

        `arguments` is an object, or its JSON text as a model writes it.
        """
        tool = self.tools.get(name)
        if tool is None:
            return failed(f"Tool '{name}' not found")
        try:
            checked = check(tool, arguments)
            result = tool.run(**checked)
            dump(result)
        except ToolError as error:
            return failed(str(error))
        except (Exception, SystemExit) as error:  # a user's tool may raise anything; its log line has the traceback
            log.warning("tool %s failed", name, exc_info=error)
            return failed(f"{type(error).__name__}: {error}")
        return {"success": True, "result": result, "error": None}


def failed(why: str) -> dict[str, Any]:
    """Return the answer of a tool that did not work."""
    return {"success": False, "result": None, "error": why}


def check(tool: Tool, arguments: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """Return the arguments as a dict that fits the tool's schema. Raises ToolError that names the first fault."""
    from jsonschema import Draft202012Validator

    value = read_arguments(arguments)
    unknown = [name for name in value if name not in tool.parameters["properties"]]
    if unknown:
        known = ", ".join(tool.parameters["properties"]) or "none"
        raise ToolError(f"Unknown argument '{unknown[0]}'; the arguments of {tool.name} are: {known}")
    for error in Draft202012Validator(tool.parameters).iter_errors(value):
        where = ".".join(map(str, error.absolute_path))
        raise ToolError(f"Argument '{where}': {error.message[:300]}" if where else f"Arguments: {error.message[:300]}")
    return value


def read_arguments(arguments: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """Return arguments as a dict; absent ones are none. Raises ToolError."""
    if isinstance(arguments, str):
        try:
            arguments = load(arguments.encode("utf-8", "replace")) if arguments.strip() else None
        except ValueError:
            raise ToolError("The arguments are not JSON") from None
    if arguments is None:
        return {}
    if not isinstance(arguments, Mapping):
        raise ToolError("The arguments must be a JSON object")
    return dict(arguments)
