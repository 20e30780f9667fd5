"""The cache of headers: read once while a file stays as it is, and never an exception."""

import os

import pytest

from app.local_models import header_cache
from app.local_models.header_cache import HeaderCache
from tests.gguf_files import gguf


def test_a_file_is_read_again_when_its_size_or_date_changes(tmp_path):
    path, cache = gguf(tmp_path / "a.gguf"), HeaderCache()
    first = cache.read(path)
    assert first.header and first.problem is None
    assert (first.size, first.modified) == (path.stat().st_size, path.stat().st_mtime)
    assert cache.read(path) is first
    os.utime(path, ns=(1, 1))
    assert cache.read(path).modified < first.modified
    os.truncate(path, 10)
    assert "truncated" in (cache.read(path).problem or "")
    assert cache.reads == 3


def test_what_cannot_be_read_is_remembered_too(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"x" * 99)
    cache = HeaderCache()
    for _ in range(2):
        assert cache.read(tmp_path / "a.gguf").problem == "is not a GGUF file"
    assert cache.reads == 1


@pytest.mark.parametrize(("name", "problem"), [
    ("nothing", "is not there"), ("dead", "is a link to a file that is not there"), ("loop", "cannot be read"),
    ("a/b\0c", "cannot be read"), ("x" * 300, "cannot be read"),
])
def test_what_is_not_there(tmp_path, name, problem):
    (tmp_path / "dead").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    found = HeaderCache().read(tmp_path / name)
    assert problem in (found.problem or "")
    assert (found.header, found.size) == (None, 0)


def test_the_cache_stays_small(tmp_path, monkeypatch):
    monkeypatch.setattr(header_cache, "MOST_FILES", 3)
    cache = HeaderCache()
    for number in range(10):
        cache.read(gguf(tmp_path / f"{number}.gguf"))
    assert len(cache._files) <= 3
