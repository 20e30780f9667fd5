"""A user's file of tools: which functions are taken, and what is said of a file that cannot be."""

import sys

import pytest

from app.errors import ConfigError
from app.tools.user_file import MODULE, functions_of

GOOD = '''
from __future__ import annotations

import json
from typing import Annotated
from os.path import join

def shout(text: Annotated[str, "What is shouted"]) -> str:
    """Shout."""
    return text.upper()

def helper(x):
    return x

def _private(x: int):
    """Not for others."""

class Thing:
    """No function."""

def add(a: int, b: int = 1) -> int:
    """Add."""
    return a + b
'''


@pytest.fixture
def file(tmp_path):
    def write(text, name="tools.py"):
        (tmp_path / name).write_text(text, "utf-8")
        return tmp_path / name

    yield write
    sys.modules.pop(MODULE, None)


def test_public_functions_with_a_docstring_are_tools(file):
    shout, add = functions_of(file(GOOD))
    assert (shout.__name__, shout("a"), add(1)) == ("shout", "A", 2)


def test_all_lists_them(file):
    assert [each.__name__ for each in functions_of(file(GOOD + "\n__all__ = ['add']"))] == ["add"]


@pytest.mark.parametrize(("text", "why"), [
    ("", "holds no function"),
    ("def a(): pass", "holds no function"),
    ("__all__ = ['nothing']", "__all__ must list"),
    ("__all__ = ['a']\na = 1", "__all__ must list"),
    ("x = 1\ndef a(:\n", "line 2: SyntaxError"),
    ("x = 1\n\nraise RuntimeError('no')", "line 3: RuntimeError: no"),
    ("import nowhere_at_all", "line 1: ModuleNotFoundError"),
    ("import sys\nsys.exit('bye')", "line 2: SystemExit: bye"),
])
def test_a_file_that_is_of_no_use(file, text, why):
    with pytest.raises(ConfigError, match=why):
        functions_of(file(text))


def test_a_file_that_is_not_there(tmp_path, file):
    with pytest.raises(ConfigError, match="no such file"):
        functions_of(tmp_path / "nowhere.py")
    with pytest.raises(ConfigError, match="must be a Python file"):
        functions_of(file(GOOD, "tools.txt"))
