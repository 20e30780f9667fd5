"""A captured request is named by its file or by its id."""

import pytest

from app.commands.sources import find, read_file
from tests.captures import asks, capture, save


def never():
    raise AssertionError("the settings are not needed for a file")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "any.name"])
def test_a_file_is_read_without_settings(tmp_path, name):
    path = save(capture(asks("Hi"), id="req_x"), tmp_path / name)
    assert find(str(path), never).id == "req_x"


def test_a_file_that_is_not_there_ends_the_process(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        read_file(tmp_path / "none.jsonl")
    assert ended.value.code == 2 and "none.jsonl" in capsys.readouterr().err
