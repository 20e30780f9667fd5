"""How an upstream is reached: proxies, certificates, and words for what went wrong."""

import http.client
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from app.engines import network
from app.errors import ConfigError
from tests.answers import completion
from tests.conftest import provider_at


@pytest.fixture(autouse=True)
def fresh_environment(monkeypatch):
    """What is read of the environment is kept for the life of the process."""
    for name in network.CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    network.route.cache_clear()
    network.tls_context.cache_clear()
    yield
    network.route.cache_clear()
    network.tls_context.cache_clear()


@pytest.mark.parametrize(("url", "route", "path"), [
    ("http://up.example/v1/x", ("http", "up.example", 80, None), "/v1/x"),
    ("https://up.example:8443/v1?a=1", ("https", "up.example", 8443, None), "/v1?a=1"),
    ("https://up.example", ("https", "up.example", 443, None), "/"),
    ("http://[::1]:8080/v1", ("http", "::1", 8080, None), "/v1"),
    ("HTTPS://UP.example/V1", ("https", "up.example", 443, None), "/V1"),
])
def test_a_url_is_split(url, route, path):
    assert network.route(url) == (network.Route(*route), path)


@pytest.mark.parametrize("url", ["", "up.example/v1", "ftp://up.example", "http://", "mock:", "/v1", "http:///v1"])
def test_what_is_no_http_address(url):
    with pytest.raises(ConfigError, match="baseURL"):
        network.route(url)


def test_an_address_that_is_none_is_told_to_the_client(serve, engine):
    reply = serve({"p": provider_at("up.example/v1", engine)}).chat()
    assert (reply.status, reply.error["code"]) == (500, "config_error")


# --- proxies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_http_goes_through_the_proxy(serve, upstream, engine, monkeypatch, variable):
    monkeypatch.setenv(variable, f"http://me:p%40ss@127.0.0.1:{upstream.port}")
    upstream.reply_json(completion())
    assert serve({"p": provider_at("http://api.example/v1", engine)}).chat().text == "Hello!"
    (request,) = upstream.requests
    assert request.path == "http://api.example/v1/chat/completions"
    assert request.headers["host"] == "api.example"
    assert request.headers["proxy-authorization"].startswith("Basic ")


def test_a_proxy_without_a_scheme_or_a_password(serve, upstream, engine, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{upstream.port}")
    upstream.reply_json(completion())
    assert serve({"p": provider_at("http://api.example/v1", engine)}).chat().status == 200
    assert "proxy-authorization" not in upstream.requests[0].headers


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "other.example,127.0.0.1"])
def test_no_proxy_goes_straight(client_for, upstream, engine, monkeypatch, exempt):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", exempt)
    upstream.reply_json(completion())
    assert client_for(engine).chat().status == 200
    assert upstream.requests[0].path == "/v1/chat/completions"


def test_this_machine_is_never_reached_through_a_proxy(client_for, upstream, engine, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    upstream.reply_json(completion())
    assert client_for(engine).chat().status == 200


def test_other_kinds_of_proxies_are_refused_in_words(serve, engine, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:9")
    reply = serve({"p": provider_at("http://api.example/v1", engine)}).chat()
    assert (reply.status, reply.error["code"]) == (500, "config_error")
    assert "proxies" in reply.error["message"]


def test_a_dead_proxy(serve, engine, monkeypatch, upstream):
    monkeypatch.setenv("HTTP_PROXY", upstream.url)
    upstream.close()
    reply = serve({"p": provider_at("http://api.example/v1", engine)}).chat()
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")


# --- TLS, and the tunnel through a proxy -------------------------------------------------------------------------

NAME = "api.example"
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s'


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that signs itself, as a company's own would."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed: the tests of TLS are SKIPPED")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "3", "-subj", f"/CN={NAME}",
                    "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1",
                    "-addext", "keyUsage=critical,digitalSignature,keyCertSign"],
                   check=True, capture_output=True)
    return cert, key


class TlsServer:
    """Speaks TLS, at once or after CONNECT, and answers each request with the same completion."""

    def __init__(self, cert, key, tunnel):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(cert, key)
        self._tunnel = tunnel
        self.heads = []
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
            with peer:
                try:
                    self._serve(peer)
                except OSError:
                    continue  # the client did not like the certificate

    def _serve(self, peer):
        if self._tunnel:
            self.heads.append(read_head(peer))
            peer.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with self._context.wrap_socket(peer, server_side=True) as secure:
            while head := read_head(secure):
                self.heads.append(head)
                length = int(head.lower().partition(b"\r\ncontent-length:")[2].split(b"\r\n")[0])
                while length:
                    length -= len(secure.recv(length))
                body = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"safe"},"finish_reason":"stop"}]}'
                secure.sendall(ANSWER % (len(body), body))

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


def read_head(peer):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = peer.recv(1)
        if not byte:
            return b""
        head += byte
    return head


@pytest.fixture
def tls(certificate, request):
    server = TlsServer(*certificate, tunnel=request.param == "tunnel")
    yield server
    from app.engines import wire

    wire.close_idle()
    server.close()


@pytest.mark.parametrize("tls", ["direct"], indirect=True)
@pytest.mark.parametrize("variable", network.CA_VARIABLES)
def test_a_company_certificate_is_trusted_where_it_is_named(serve, engine, tls, certificate, monkeypatch, variable):
    monkeypatch.setenv(variable, str(certificate[0]))
    gateway = serve({"p": provider_at(f"https://127.0.0.1:{tls.port}/v1", engine)})
    assert gateway.chat().text == gateway.chat().text == "safe"
    assert tls.heads[0].startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")


@pytest.mark.parametrize("tls", ["direct"], indirect=True)
def test_an_unknown_certificate_is_refused_and_explained(serve, engine, tls):
    reply = serve({"p": provider_at(f"https://127.0.0.1:{tls.port}/v1", engine)}).chat()
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
    assert "SSL_CERT_FILE" in reply.error["message"]
    assert tls.heads == []


@pytest.mark.parametrize("tls", ["tunnel"], indirect=True)
def test_https_goes_through_the_proxys_tunnel(serve, engine, tls, certificate, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{tls.port}")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    gateway = serve({"p": provider_at(f"https://{NAME}/v1", engine)})
    assert gateway.chat().text == gateway.chat().text == "safe"
    connect, first, _second = tls.heads
    assert connect.startswith(f"CONNECT {NAME}:443 HTTP/1.".encode())
    assert b"\r\nproxy-authorization: basic" in connect.lower()
    assert first.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"authorization: bearer sk-upstream" in first.lower() and b"sk-upstream" not in connect
    assert b"proxy-authorization" not in first.lower(), "the proxy's password is not the upstream's business"


# --- words -------------------------------------------------------------------------------------------------------


def test_a_name_that_cannot_be_resolved(serve, engine):
    reply = serve({"p": provider_at("http://nowhere.invalid/v1", engine)}).chat()
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
    assert "nowhere.invalid" in reply.error["message"] and "resolved" in reply.error["message"]


@pytest.mark.parametrize(("error", "words"), [
    (ConnectionRefusedError(), "connection refused"), (ConnectionResetError(), "connection reset"),
    (BrokenPipeError(), "connection reset"), (socket.gaierror(), "its name cannot be resolved"),
    (ssl.SSLError("x"), "TLS failed"), (http.client.BadStatusLine("sk-secret"), "BadStatusLine")])
def test_failures_have_words(error, words):
    assert network.describe(error) == words
    wrapped = RuntimeError()
    wrapped.__cause__ = error
    assert network.describe(wrapped) in (words, "RuntimeError")
