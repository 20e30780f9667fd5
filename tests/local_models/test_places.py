"""Which folders are searched, in what order, and how lists of folders in variables are split."""

from pathlib import Path

import pytest

from app.local_models import places
from app.local_models.places import split_paths

HOME, CWD = Path("/home/ann"), Path("/work")


def folders(**environ):
    return [str(place.folder) for place in places.places(environ, HOME, CWD)]


def test_the_order_of_the_search():
    assert folders(
        SHIMMY_BASE_GGUF="/base/a.gguf", SHIMMY_MODEL_PATHS="/one;two", OLLAMA_MODELS="/ollama", HF_HOME="/hf",
        GATEWAY_MODEL_PATHS="~/own"
    ) == [
        "/work/models", "/base", "/home/ann/own", "/one", "/work/two", "/ollama", "/hf/hub",
        "/home/ann/.cache/huggingface/hub", "/home/ann/.ollama/models", "/home/ann/.lmstudio/models",
        "/home/ann/.cache/lm-studio/models", "/home/ann/models", "/home/ann/.local/share/shimmy/models",
        "/home/ann/.cache/llama.cpp",
    ]  # fmt: skip


def test_each_folder_is_searched_once():
    assert folders(SHIMMY_MODEL_PATHS="/work/models/;models;./models/../models") == folders()


def test_windows_has_more_folders():
    added = [folder for folder in folders(USERPROFILE="/c/Users/Ann") if folder not in folders()]
    assert added == [
        "/c/Users/Ann/.cache/huggingface/hub", "/c/Users/Ann/.ollama/models", "/c/Users/Ann/.lmstudio/models",
        "/c/Users/Ann/.cache/lm-studio/models", "/c/Users/Ann/models", "/c/Users/Ann/.local/share/shimmy/models",
        "/c/Users/Ann/.cache/llama.cpp", "/c/Users/Ann/AppData/Roaming/LM Studio/models", "/c/Users/Ann/Downloads",
    ]  # fmt: skip


@pytest.mark.parametrize(("value", "posix", "expected"), [
    ("", True, []),
    (" ; ;", True, []),
    ("/a;/b", True, ["/a", "/b"]),
    ("/a:/b;c", True, ["/a", "/b", "/work/c"]),
    ("~/a:~", True, ["/home/ann/a", "/home/ann"]),
    (" /a ; /b ", True, ["/a", "/b"]),
    ("/a:/b", False, ["/a:/b"]),
])
def test_lists_of_folders(value, posix, expected):
    assert [str(path) for path in split_paths(value, HOME, CWD, posix)] == expected


def test_drive_letters_are_no_separators():
    found = split_paths(r"C:\models;D:/more", HOME, CWD, posix=False)
    assert [path.name for path in found] == [r"C:\models", "more"]
    assert len(split_paths(r"C:\models;D:/more", HOME, CWD, posix=True)) == 2


def test_a_folder_with_a_colon_in_its_name(tmp_path):
    (tmp_path / "a:b").mkdir()
    assert split_paths(f"{tmp_path}/a:b", HOME, CWD, posix=True) == [tmp_path / "a:b"]


def test_a_file_that_a_variable_names():
    assert places.named_file({"X": " ~/a.gguf "}, "X", HOME, CWD) == HOME / "a.gguf"
    assert places.named_file({"X": " "}, "X", HOME, CWD) is None
    assert places.named_file({}, "X", HOME, CWD) is None
