"""Reads a user's own tools from a Python file: every public function in it that has a docstring is one.

The file is run as it is, with all that Python may do: it is named by whoever starts the gateway, never by a request.
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from app.errors import ConfigError

MODULE = "gateway_user_tools"


def functions_of(path: Path) -> list[Callable[..., Any]]:
    """Return the functions of a file in their order: those in `__all__`, else public ones with a docstring.

    Raises ConfigError with the file and the line for a file that cannot be run or holds none.
    """
    module = run(path)
    listed = getattr(module, "__all__", None)
    if listed is not None:
        found = [getattr(module, str(name), None) for name in listed]
        if not all(inspect.isfunction(each) for each in found):
            raise ConfigError(f"{path}: __all__ must list functions of this file")
    else:
        found = [each for name, each in vars(module).items() if is_tool(name, each)]
    if not found:
        raise ConfigError(f"{path}: holds no function with a docstring")
    return [each for each in found if each is not None]


def is_tool(name: str, value: object) -> bool:
    """Tell whether a value of the file's is a tool: its own function, public, with a docstring."""
    own = inspect.isfunction(value) and value.__module__ == MODULE
    return own and not name.startswith("_") and bool(inspect.getdoc(value))


def run(path: Path) -> ModuleType:
    """Run a Python file and return it as a module. Raises ConfigError."""
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file of tools")
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path}: must be a Python file (.py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module  # annotations are looked up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[MODULE]
        raise ConfigError(f"{path}: {where(error, path)}{type(error).__name__}: {error}") from error
    return module


def where(error: BaseException, path: Path) -> str:
    """Name the line of the file at which an error came up."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"line {line}: " if line else ""
