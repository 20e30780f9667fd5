"""The page's files: right types, unchanged ones are not sent again, and nothing outside their folder is ever served."""

import socket

import pytest

from app.inspector_files import FOLDER, TYPES, Files

ALL = sorted(path.name for path in FOLDER.iterdir() if path.is_file())
STATIC = "/inspector/static/"


@pytest.fixture
def gateway(serve):
    return serve({"m": {"options": {"engine": "mock"}, "models": {"mock": {}}}})


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "static"
    inside.mkdir()
    (inside / "a.js").write_text("let a;")
    (tmp_path / "secret.js").write_text("secret")
    return inside


def test_every_file_of_the_page_is_served_with_its_type(gateway):
    assert "index.html" in ALL and "main.js" in ALL
    for name in ALL:
        reply = gateway.get(STATIC + name)
        kind = TYPES["." + name.rpartition(".")[2]]
        assert (reply.status, reply.headers["content-type"]) == (200, kind), name
        assert reply.raw == (FOLDER / name).read_bytes()
        assert reply.headers["x-content-type-options"] == "nosniff"


def test_an_unchanged_file_is_not_sent_again(gateway):
    first = gateway.get(STATIC + "main.js")
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    again = gateway.get(STATIC + "main.js", {"If-None-Match": tag})
    assert (again.status, again.raw, again.headers["etag"]) == (304, b"", tag)
    other = gateway.get(STATIC + "main.js", {"If-None-Match": '"older"'})
    assert (other.status, other.raw) == (200, first.raw)
    assert gateway.get("/inspector", {"If-None-Match": gateway.get("/inspector").headers["etag"]}).status == 304


def test_a_file_that_changed_has_another_tag(folder):
    files = Files(folder)
    before = files.get("a.js")
    assert before is files.get("a.js")  # held, not read again
    (folder / "a.js").write_text("let a, b;")
    after = files.get("a.js")
    assert after.data == b"let a, b;"
    assert after.tag != before.tag
    (folder / "a.js").unlink()
    assert files.get("a.js") is None


@pytest.mark.parametrize(
    "name",
    ["../secret.js", "..", ".", "", "sub", "sub/a.js", "../static/a.js", "..\\secret.js", "a.js\0", "a.js\0.js",
     "/etc/passwd", ".hidden.js", "none.js", "a.py", "a", "a.JS", "x" * 5000 + ".js", "link.js", "dir.js"],
)  # fmt: skip
def test_no_name_leads_out_of_the_folder(folder, name):
    (folder / "sub").mkdir()
    (folder / "sub" / "a.js").write_text("below")
    (folder / "dir.js").mkdir()
    (folder / ".hidden.js").write_text("hidden")
    (folder / "a.py").write_text("code")
    (folder / "link.js").symlink_to(folder.parent / "secret.js")
    assert Files(folder).get(name) is None


def test_an_absolute_name_is_no_file_of_the_folder(folder):
    assert Files(folder).get(str(folder.parent / "secret.js")) is None


@pytest.mark.parametrize(
    "path",
    ["../../inspector_files.py", "%2e%2e/%2e%2e/inspector_files.py", "..%2f..%2finspector_files.py", "..%5c..%5cx.js",
     "%2e%2e%2fstatic%2fmain.js", "/etc/passwd", "%2fetc%2fpasswd", "..", ".", "", "main.js%00", "%00",
     "none.js", "x" * 3000 + ".js"],
)  # fmt: skip
def test_no_address_leads_out_of_the_folder(gateway, path):
    """The bytes go over the socket as they stand: no client tidies them up."""
    with socket.create_connection(("127.0.0.1", gateway.port), 30) as client:
        client.sendall(f"GET {STATIC}{path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.split(b" ", 2)[1] in (b"404", b"308"), answer[:300]
    assert b"root:" not in answer and b"import " not in answer
