"""http_get against real sockets: what it fetches, where it never goes, and its limits of size and time.

The servers are on 127.0.0.1, which the tool refuses; so these tests say which addresses are allowed, and what a name
resolves to. What is never fetched is tested with the tool as it is.
"""

import ipaddress
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from app.engines import network
from app.tools.addresses import is_public
from app.tools.http_get import Limits, addresses_of, make_http_get
from app.tools.tool import ToolError
from tests.tools.web import FakeWeb
from tests.upstream import bytes_answer, raw_answer

NAME = "page.example"
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


def is_loopback(address):
    return address.is_loopback


@pytest.fixture
def web():
    with FakeWeb() as server:
        yield server


@pytest.fixture
def get(web):
    """Fetch a path of the fake server: `get("/a", seconds=1)`."""

    def fetch(path="/", host="127.0.0.1", resolve=addresses_of, **limits):
        return make_http_get(is_loopback, resolve, Limits(**limits))(f"http://{host}:{web.port}{path}")

    return fetch


def redirect(location, status=302):
    return bytes_answer(b"elsewhere", status, {"Location": location})


# --- what is fetched ---------------------------------------------------------------------------------------------


def test_a_page(get, web):
    web.reply_bytes("한국어".encode(), headers=TEXT)
    assert get("/a b?c=ü".replace(" ", "%20")) == {
        "status": 200, "url": f"{web.url}/a%20b?c=%C3%BC", "content_type": "text/plain; charset=utf-8",
        "body": "한국어", "truncated": False}  # fmt: skip
    (request,) = web.requests
    assert (request.method, request.path) == ("GET", "/a%20b?c=%C3%BC")
    assert request.headers["host"] == f"127.0.0.1:{web.port}"
    assert request.headers["accept-encoding"] == "identity"
    assert {"authorization", "cookie"}.isdisjoint(request.headers)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_every_framing(get, web, framing):
    web.reply(bytes_answer(b"x" * 200_000, headers=TEXT, framing=framing))
    assert get()["body"] == "x" * 200_000


@pytest.mark.parametrize(("body", "content_type", "text"), [
    ("é".encode("latin-1"), "text/html; charset=ISO-8859-1", "é"),
    ("é".encode("latin-1"), "text/html", "\ufffd"),
    ("é".encode("utf-16"), "text/html; charset=utf-16", "é"),
    ("안녕".encode("euc-kr"), "text/html; charset=EUC-KR", "안녕"),
    (b"a", "text/html; charset=punycode", "a"),
    (b"a", "text/html; charset=nonsense", "a"),
    (b"a", "text/html; charset=base64", "a"),
    (b"", "", ""),
])
def test_character_sets(get, web, body, content_type, text):
    web.reply_bytes(body, headers={"Content-Type": content_type} if content_type else {})
    assert get()["body"] == text


@pytest.mark.parametrize("status", [204, 301, 304, 404, 500])
def test_the_status_is_told(get, web, status):
    web.reply(bytes_answer(b"" if status in (204, 304) else b"said", status, TEXT))
    assert get()["status"] == status


def test_what_is_no_text_is_not_returned(get, web):
    web.reply_bytes(b"\x89PNG\0\0", headers={"Content-Type": "image/png"})
    with pytest.raises(ToolError, match=r"not text \(image/png\)"):
        get()


def test_a_compressed_answer_that_nobody_asked_for(get, web):
    web.reply_bytes(b"\x1f\x8b", headers={**TEXT, "Content-Encoding": "gzip"})
    with pytest.raises(ToolError, match="compressed"):
        get()


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_only_so_much_is_read(get, web, framing):
    web.reply(bytes_answer(b"x" * 5_000_000, headers=TEXT, framing=framing))
    answer = get(most_bytes=1000)
    assert (answer["body"], answer["truncated"]) == ("x" * 1000, True)
    web.reply(bytes_answer(b"x" * 1000, headers=TEXT, framing=framing))
    assert get(most_bytes=1000)["truncated"] is False


# --- redirects ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(get, web, status):
    web.reply(redirect("../b?c#d", status), bytes_answer(b"there", headers=TEXT))
    answer = get("/x/a")
    assert (answer["body"], answer["url"]) == ("there", f"{web.url}/b?c")


def test_redirects_end(get, web):
    web.reply_with(lambda request: redirect(request.path + "x"))
    with pytest.raises(ToolError, match="More than 3 redirects"):
        get(redirects=3)
    assert len(web.requests) == 4


@pytest.mark.parametrize(("location", "why"), [
    ("http://169.254.169.254/latest/meta-data/", "not on the public internet"),
    ("//10.0.0.1/", "not on the public internet"),
    ("http://[::ffff:10.0.0.1]/", "not on the public internet"),
    ("file:///etc/passwd", "Only http"),
    ("http://me:pw@page.example/", "user name"),
    ("http://127.0.0.1:22/", "Port 22"),
    ("http://[::1", "not well formed"),
])
def test_a_redirect_gains_nothing(get, web, location, why):
    web.reply(redirect(location))
    with pytest.raises(ToolError, match=why):
        get()
    assert len(web.requests) == 1


# --- where it never goes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [
    "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "0.0.0.0", "[::1]",
    "[::ffff:127.0.0.1]", "[::]", "10.0.0.1", "192.168.0.1", "169.254.169.254", "[fe80::1]", "[64:ff9b::7f00:1]",
    "224.0.0.1", "255.255.255.255", "127。0。0。1",
])
def test_this_machine_and_its_network_are_never_asked(web, host):
    with pytest.raises(ToolError, match="not on the public internet|cannot be resolved"):
        make_http_get()(f"http://{host}:{web.port}/")
    assert web.connections == 0


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["2606:4700::1111", "::1"], ["fe80::1%lo"]])
def test_a_name_with_any_address_inside_is_not_asked(addresses):
    with pytest.raises(ToolError, match="not on the public internet"):
        make_http_get(resolve=lambda host, port: addresses)("http://page.example/")


def test_a_name_that_changes_its_answer_gains_nothing(get, web):
    """DNS rebinding: the name is asked once, and the connection goes to the address that was checked."""
    asked = []

    def resolve(host, port):
        asked.append((host, port))
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    web.reply_bytes(b"checked", headers=TEXT)
    assert get(host=NAME, resolve=resolve)["body"] == "checked"
    assert asked == [(NAME, web.port)]
    assert web.requests[0].headers["host"] == f"{NAME}:{web.port}"
    with pytest.raises(ToolError, match="not on the public internet"):
        get(host=NAME, resolve=resolve)


def test_proxies_of_the_environment_are_not_asked(get, web, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    web.reply_bytes(b"straight", headers=TEXT)
    assert get()["body"] == "straight"


def test_the_second_address_is_tried_when_the_first_is_dead(get, web):
    web.reply_bytes(b"alive", headers=TEXT)
    assert get(host=NAME, resolve=lambda host, port: ["::1", "127.0.0.1"])["body"] == "alive"


def test_by_default_public_addresses_are_allowed():
    assert is_public(ipaddress.ip_address("8.8.8.8"))
    assert make_http_get.__defaults__ is not None and make_http_get.__defaults__[0] is is_public


# --- what goes wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("addresses", "why"), [
    ([], "cannot be resolved"), (["nonsense"], "not understood"),
])
def test_odd_answers_of_dns(get, addresses, why):
    with pytest.raises(ToolError, match=why):
        get(host=NAME, resolve=lambda host, port: addresses)


def test_a_name_that_nobody_knows(get):
    def resolve(host, port):
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(ToolError, match="page.example: its name cannot be resolved"):
        get(host=NAME, resolve=resolve)


def test_nobody_listens(get, web):
    web.close()
    with pytest.raises(ToolError, match="127.0.0.1: connection refused"):
        get()


@pytest.mark.parametrize("raw", [
    b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200,
])
def test_what_is_no_http(get, web, raw):
    web.reply(raw_answer(raw))
    with pytest.raises(ToolError, match="not HTTP|ended|reset"):
        get()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_answer_that_is_cut(get, web, framing):
    web.reply(bytes_answer(b"x" * 100_000, headers=TEXT, framing=framing).cut_after(bytes=50_000))
    with pytest.raises(ToolError, match="ended too early"):
        get()


def test_the_time_is_over_before_the_head(get, web):
    web.hang_before_headers()
    with pytest.raises(ToolError, match="took too long"):
        get(seconds=0.2)
    web.wait_idle()


def test_the_time_is_over_within_the_body(get, web):
    web.reply(bytes_answer(b"x" * 1000, headers=TEXT).hang_after(bytes=500))
    with pytest.raises(ToolError, match="took too long"):
        get(seconds=0.2)
    web.wait_idle()


def test_the_time_is_over_while_a_name_is_resolved(get):
    asked, answer = threading.Event(), threading.Event()

    def resolve(host, port):
        asked.set()
        answer.wait(20)
        return ["127.0.0.1"]

    try:
        with pytest.raises(ToolError, match="not resolved in time"):
            get(host=NAME, resolve=resolve, seconds=0.2)
        assert asked.is_set()
    finally:
        answer.set()


def test_a_byte_now_and_then_does_not_stretch_the_time():
    """A server that sends one byte of its head whenever it was read keeps each single wait short."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = threading.Event()

        def drip():
            peer, _ = listener.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not gone.wait(0.02):
                    try:
                        peer.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        begun = time.monotonic()
        with pytest.raises(ToolError, match="took too long"):
            make_http_get(is_loopback, limits=Limits(seconds=0.3))(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        assert time.monotonic() - begun < 20
        gone.set()
        thread.join(10)


# --- TLS ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed: the tests of TLS are SKIPPED")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "3", "-subj", f"/CN={NAME}",
                    "-addext", f"subjectAltName=DNS:{NAME}", "-addext", "keyUsage=critical,digitalSignature,keyCertSign"],
                   check=True, capture_output=True)
    return cert, key


class TlsServer:
    """Answers each TLS connection once and remembers the name it was asked for (SNI)."""

    def __init__(self, cert, key):
        self.names = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(cert, key)
        self._context.sni_callback = lambda connection, name, context: self.names.append(name)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            try:
                with peer, self._context.wrap_socket(peer, server_side=True) as secure:
                    secure.recv(65_536)
                    secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
            except OSError:
                continue  # the client did not like the certificate

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def tls(certificate, monkeypatch):
    for name in network.CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    network.tls_context.cache_clear()
    server = TlsServer(*certificate)
    yield server
    server.close()
    network.tls_context.cache_clear()


def secure_get(server, host):
    get = make_http_get(is_loopback, lambda host, port: ["127.0.0.1"], Limits(seconds=10))
    return get(f"https://{host}:{server.port}/")


def test_the_certificate_is_that_of_the_name_not_of_the_address(tls):
    assert secure_get(tls, NAME)["body"] == "secret"
    assert tls.names == [NAME]


def test_a_certificate_of_another_name_is_refused(tls):
    with pytest.raises(ToolError, match="certificate is not trusted"):
        secure_get(tls, "other.example")


def test_a_certificate_that_nobody_signed_is_refused(tls, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    network.tls_context.cache_clear()
    with pytest.raises(ToolError, match="certificate is not trusted"):
        secure_get(tls, NAME)


def test_a_server_that_never_ends_its_handshake(certificate):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        get = make_http_get(is_loopback, lambda host, port: ["127.0.0.1"], Limits(seconds=0.3))
        with pytest.raises(ToolError, match="took too long"):
            get(f"https://{NAME}:{listener.getsockname()[1]}/")
