"""The tools of one gateway: the three that come with it, and the user's own."""

from pathlib import Path

from app.tools.addresses import is_public
from app.tools.calculator import calculator
from app.tools.file_read import make_file_read
from app.tools.http_get import make_http_get
from app.tools.registry import Registry
from app.tools.tool import tool_of
from app.tools.user_file import functions_of


def make_registry(
    file_root: Path | None = None, user_file: Path | None = None, allow_private: bool = False
) -> Registry:
    """Return calculator, file_read (below `file_root`), http_get, and the functions in `user_file`.

    `allow_private` lets http_get ask any address, this machine's too. Raises ConfigError for a file of tools that is
    broken, or holds one with a name that is taken.
    """
    http_get = make_http_get(allowed=(lambda address: True) if allow_private else is_public)
    functions = [calculator, make_file_read(file_root), http_get, *(functions_of(user_file) if user_file else ())]
    return Registry(tool_of(function) for function in functions)
