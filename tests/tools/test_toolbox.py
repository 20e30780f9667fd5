"""The tools that come with the gateway, and a user's own beside them."""

import json
import sys
from pathlib import Path

import pytest

from app.errors import ConfigError
from app.tools.toolbox import make_registry
from app.tools.user_file import MODULE
from tests.tools.web import FakeWeb

DESCRIBED = json.loads((Path(__file__).parent.parent / "fixtures/shimmy/tools.json").read_text("utf-8"))


@pytest.fixture(autouse=True)
def no_file_stays():
    yield
    sys.modules.pop(MODULE, None)


def test_the_three_tools_as_they_are_described():
    assert make_registry().definitions() == DESCRIBED


@pytest.mark.parametrize(("expression", "result"), [("2 + 2", 4), ("10 * 3", 30), ("2 / 4", 0.5)])
def test_the_calculator(expression, result):
    answer = make_registry().execute("calculator", {"expression": expression})
    assert answer == {"success": True, "result": result, "error": None}


def test_files_only_below_the_folder_that_is_allowed(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    assert make_registry(tmp_path).execute("file_read", {"path": "a.txt"})["result"] == "text"
    for registry in (make_registry(tmp_path), make_registry()):
        answer = registry.execute("file_read", {"path": "/etc/passwd"})
        assert not answer["success"] and answer["result"] is None and answer["error"]


def test_pages_of_this_machine_only_where_that_is_allowed():
    with FakeWeb() as web:
        web.reply_bytes(b"inside", headers={"Content-Type": "text/plain"})
        answer = make_registry().execute("http_get", {"url": web.url})
        assert answer["error"] == "127.0.0.1 is not on the public internet: it is not fetched"
        assert make_registry(allow_private=True).execute("http_get", {"url": web.url})["result"]["body"] == "inside"


def test_tools_of_the_user(tmp_path):
    file = tmp_path / "tools.py"
    file.write_text('def add(a: int, b: int = 1) -> int:\n    """Add."""\n    return a + b\n')
    registry = make_registry(user_file=file)
    assert [each["name"] for each in registry.definitions()] == ["calculator", "file_read", "http_get", "add"]
    assert registry.execute("add", {"a": 1})["result"] == 2


@pytest.mark.parametrize(("text", "why"), [
    ('def calculator(a: int):\n    """Mine."""', "two tools called 'calculator'"),
    ('def a(b):\n    """Mine."""', "tool a: parameter b: has no type annotation"),
])
def test_tools_of_the_user_that_do_not_fit(tmp_path, text, why):
    (tmp_path / "tools.py").write_text(text)
    with pytest.raises(ConfigError, match=why):
        make_registry(user_file=tmp_path / "tools.py")
