"""The search of a folder: what is entered, links and loops, and its limits."""

import logging
import os

import pytest

from app.local_models import walk as module
from app.local_models.walk import walk


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def names(found):
    return [path.name for path in found.files]


def test_files_are_sorted_and_folders_named_like_files_are_entered(tmp_path):
    for name in ("b.gguf", "a/z.GGUF", "a.gguf", "c.gguf/d.gguf", "readme.md"):
        touch(tmp_path / name)
    assert names(walk(tmp_path)) == ["z.GGUF", "a.gguf", "b.gguf", "d.gguf"]


def test_four_folders_down_and_no_further(tmp_path):
    touch(tmp_path / "1/2/3/4/in.gguf")
    touch(tmp_path / "1/2/3/4/5/out.gguf")
    assert names(walk(tmp_path)) == ["in.gguf"]


@pytest.mark.parametrize(("folder", "entered"), [
    (".cache", True), (".ollama", True), (".local", True), (".git", False), (".github", False), (".venv", False),
    ("target", False), ("Target", False), ("cmake", False), ("incremental", False), ("Windows", False),
    ("$RECYCLE.BIN", False), ("targets", True),
])
def test_folders_that_are_not_entered(tmp_path, folder, entered):
    touch(tmp_path / folder / "a.gguf")
    assert names(walk(tmp_path)) == (["a.gguf"] if entered else [])


def test_a_folder_that_is_named_is_searched_whatever_it_is_called(tmp_path):
    touch(tmp_path / ".hidden/a.gguf")
    assert names(walk(tmp_path / ".hidden")) == ["a.gguf"]


def test_links_are_followed_and_loops_end(tmp_path):
    touch(tmp_path / "real/a.gguf")
    touch(tmp_path / "outside/b.gguf")
    search = tmp_path / "search"
    search.mkdir()
    (search / "one").symlink_to(tmp_path / "real")
    (search / "two").symlink_to(tmp_path / "real")
    (search / "loop").symlink_to(search)
    (tmp_path / "real/up").symlink_to(search)
    (search / "self.gguf").symlink_to(search / "self.gguf")
    (search / "dead").symlink_to(tmp_path / "nowhere")
    assert names(walk(search)) == ["a.gguf", "self.gguf"]


def test_stores_of_ollama_are_told(tmp_path):
    (tmp_path / "x/manifests").mkdir(parents=True)
    (tmp_path / "x/blobs").mkdir()
    (tmp_path / "y/blobs").mkdir(parents=True)
    assert walk(tmp_path).stores == [tmp_path / "x"]


@pytest.mark.parametrize("kind", ["nothing", "file"])
def test_what_is_no_folder_holds_nothing(tmp_path, kind):
    if kind == "file":
        touch(tmp_path / "a")
    found = walk(tmp_path / "a")
    assert (found.files, found.stores, found.unreadable) == ([], [], [])


def test_an_endless_folder_ends_with_a_warning(tmp_path, monkeypatch, caplog):
    for number in range(30):
        touch(tmp_path / f"{number:02}/a.gguf")
    monkeypatch.setattr(module, "MOST_ENTRIES", 40)
    with caplog.at_level(logging.WARNING, "gateway"):
        assert 5 < len(walk(tmp_path).files) < 15
    assert "ended after 40" in caplog.text


def test_system_folders_are_not_entered():
    with os.scandir("/") as entries:
        assert not {entry.path for entry in entries if module.is_searched(entry)} & module.SYSTEM
