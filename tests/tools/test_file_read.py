"""Files below one folder: what is read, and every way out of it that is closed."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.tools.file_read import make_file_read, open_below, read_text
from app.tools.tool import ToolError


@pytest.fixture
def root(tmp_path):
    (tmp_path / "outside.txt").write_text("secret")
    (tmp_path / "root-twin").mkdir()
    (tmp_path / "root-twin/a.txt").write_text("secret")
    root = tmp_path / "root"
    (root / "deep/er").mkdir(parents=True)
    (root / "a.txt").write_text("한국어 text\n", "utf-8")
    (root / "deep/er/b.txt").write_text("b")
    return root


@pytest.mark.parametrize("path", ["a.txt", "./a.txt", "deep/../a.txt", "deep//er/../../a.txt", "{root}/a.txt",
                                  "../root/a.txt", "link.txt", "linked/../a.txt", "{root}/linked/../a.txt"])
def test_a_file_below_the_root(root, path):
    (root / "link.txt").symlink_to("a.txt")
    (root / "linked").symlink_to(root / "deep")
    assert read_text(root, path.format(root=root)) == "한국어 text\n"


def test_a_root_that_is_a_link(root, tmp_path):
    (tmp_path / "way").symlink_to(root)
    assert read_text(tmp_path / "way", "deep/er/b.txt") == "b"
    assert read_text(tmp_path / "way", str(tmp_path / "way/deep/er/b.txt")) == "b"


@pytest.mark.parametrize("path", [
    "../outside.txt", "{root}/../outside.txt", "/etc/passwd", "deep/../../outside.txt", "../root-twin/a.txt",
    "{root}-twin/a.txt", "out", "outdir/a.txt", "chain", "deep/up/outside.txt", "/proc/self/environ", "..", "/",
])
def test_the_ways_out_are_closed(root, tmp_path, path):
    (root / "out").symlink_to(tmp_path / "outside.txt")
    (root / "outdir").symlink_to(tmp_path / "root-twin")
    (root / "chain").symlink_to("out")
    (root / "deep/up").symlink_to("../..")
    with pytest.raises(ToolError, match="outside the folder"):
        read_text(root, path.format(root=root))


@pytest.mark.parametrize(("path", "why"), [
    ("nothing.txt", "No such file"), ("deep", "no plain file"), (".", "no plain file"), ("", "no plain file"),
    ("pipe", "no plain file"), ("a.txt/b", "cannot be read"), ("dead", "No such file"), ("loop", "cannot be read"),
    ("nul\0", "cannot be read"), ("x" * 300, "cannot be read"), ("latin", "not a text file"),
])
def test_what_cannot_be_read(root, path, why):
    os.mkfifo(root / "pipe")
    (root / "dead").symlink_to("nowhere")
    (root / "loop").symlink_to("loop")
    (root / "latin").write_bytes(b"caf\xe9")
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with pytest.raises(ToolError, match=why):
        read_text(root, path)
    assert before == (len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0)


def test_devices_are_not_read(root):
    with pytest.raises(ToolError, match="no plain file"):
        read_text(root.__class__("/dev"), "zero")


def test_the_size_is_capped(root):
    (root / "large").write_bytes(b"x" * 11)
    assert read_text(root, "large", 11) == "x" * 11
    with pytest.raises(ToolError, match="larger than 10 bytes"):
        read_text(root, "large", 10)


@pytest.mark.skipif(os.open not in os.supports_dir_fd, reason="this system opens no file relative to a folder")
def test_a_link_that_takes_the_place_of_a_folder_meanwhile_leads_nowhere(root, tmp_path, monkeypatch):
    """Between the check and the opening somebody puts a link in place of `deep`."""
    (tmp_path / "er").mkdir()
    (tmp_path / "er/b.txt").write_text("secret")
    real = os.path.realpath

    def swap(path, **how):
        found = real(path, **how)
        if str(path).endswith("b.txt"):
            (root / "deep").rename(root / "moved")
            (root / "deep").symlink_to(tmp_path)
        return found

    monkeypatch.setattr(os.path, "realpath", swap)
    with pytest.raises(OSError):
        open_below(root, "deep/er/b.txt")


def test_the_tool(root):
    assert make_file_read(root)("a.txt") == "한국어 text\n"
    with pytest.raises(ToolError, match="GATEWAY_TOOLS_ROOT"):
        make_file_read(None)("a.txt")
    with pytest.raises(ToolError, match="cannot be read"):
        make_file_read(root / "nowhere")("a.txt")


PARTS = st.sampled_from(["..", ".", "a.txt", "deep", "er", "b.txt", "outside.txt", "out", "", "root", "root-twin", "\0"])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(PARTS, max_size=7), absolute=st.booleans())
def test_no_path_leads_out(root, tmp_path, parts, absolute):
    if not os.path.islink(root / "out"):
        (root / "out").symlink_to(tmp_path)
    path = "/".join(parts)
    try:
        assert read_text(root, f"{root}/{path}" if absolute else path) in ("한국어 text\n", "b")
    except ToolError:
        pass
