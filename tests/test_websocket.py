"""One WebSocket over a pair of sockets, with a client that can do wrong."""

import socket
import threading

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

from app.errors import InvalidRequest
from app.websocket import AHEAD, NORMAL, TOO_BIG, SocketClosed, WebSocket

HEADERS = {
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
LIMIT = 10.0


class Peer:
    """The client's side, after its handshake."""

    def __init__(self, most: int = 1000, headers: dict[str, str] = HEADERS) -> None:
        here, there = socket.socketpair()
        here.settimeout(LIMIT)
        self.socket, self.gone = here, threading.Event()
        self.server = WebSocket(there, headers, most, self.gone.set, [("x-request-id", "req_1")])
        self._server_socket = there
        self.head = self._read_head()
        self.protocol = Connection(ConnectionType.CLIENT)
        self.seen: list = []

    def _read_head(self) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.socket.recv(1)
        return head

    def send(self, *events) -> None:
        self.socket.sendall(b"".join(self.protocol.send(event) for event in events))

    def next(self, kind):
        """The next event of a kind; others before it are passed over."""
        while True:
            for event in self.seen:
                if isinstance(event, kind):
                    self.seen = self.seen[self.seen.index(event) + 1 :]
                    return event
            data = self.socket.recv(65536)
            assert data, f"the connection ended before a {kind.__name__}"
            self.protocol.receive_data(data)
            self.seen = list(self.protocol.events())

    def end(self) -> None:
        self.socket.close()
        self.server.close()
        self._server_socket.close()


@pytest.fixture
def peer():
    peer = Peer()
    yield peer
    peer.end()


def test_the_handshake_is_answered(peer):
    lines = peer.head.decode().split("\r\n")
    assert lines[0].startswith("HTTP/1.1 101 ")
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in lines  # the sample of RFC 6455
    assert "x-request-id: req_1" in lines
    assert "extensions" not in peer.head.decode().lower()


@pytest.mark.parametrize("changes", [
    {"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Version": ""}, {"Sec-WebSocket-Key": ""}, {"Upgrade": "h2c"},
    {"Connection": "close"}, {"Sec-WebSocket-Key": "a\r\nX: y"}])
def test_a_bad_handshake_is_refused_before_anything_is_sent(changes):
    here, there = socket.socketpair()
    with here, there:
        with pytest.raises(InvalidRequest, match="no WebSocket handshake"):
            WebSocket(there, {**HEADERS, **changes}, 100, lambda: None)
        here.setblocking(False)
        with pytest.raises(BlockingIOError):
            here.recv(1)


def test_a_client_of_the_protocols_library_takes_the_handshake():
    client = WSConnection(ConnectionType.CLIENT)
    lines = client.send(Request(host="x", target="/", extensions=[PerMessageDeflate()])).decode().split("\r\n")
    peer = Peer(headers=dict(line.split(": ", 1) for line in lines[1:] if line))
    client.receive_data(peer.head)
    assert [type(event) for event in client.events()] == [AcceptConnection]
    peer.end()


@pytest.mark.parametrize("message", ["Grüße 🎉", "", b"\x00\xff", "x" * 999])
def test_messages_come_whole(peer, message):
    peer.send(TextMessage(message) if isinstance(message, str) else BytesMessage(message))
    assert peer.server.receive(LIMIT) == message


def test_a_message_in_fragments_with_a_ping_between(peer):
    peer.send(TextMessage("Hel", message_finished=False), Ping(b"there?"), TextMessage("lo", message_finished=True))
    assert peer.server.receive(LIMIT) == "Hello"
    assert peer.next(Pong).payload == b"there?"


def test_fragments_without_a_byte_are_not_kept(peer):
    peer.send(*[TextMessage("", message_finished=False)] * 100, Ping(b"there?"))
    assert peer.next(Pong) and peer.server._parts == []
    peer.send(TextMessage("a", message_finished=False), TextMessage("", message_finished=True))
    assert peer.server.receive(LIMIT) == "a"


def test_bytes_may_come_one_by_one(peer):
    for byte in peer.protocol.send(TextMessage("schön 🎉")) + peer.protocol.send(TextMessage("zwei")):
        peer.socket.sendall(bytes([byte]))
    assert [peer.server.receive(LIMIT) for _ in range(2)] == ["schön 🎉", "zwei"]


def test_several_texts_leave_in_order(peer):
    peer.server.send(["eins", "zwei"])
    peer.server.ping()
    peer.server.send(["drei"])
    texts = [peer.next(TextMessage).data for _ in range(2)]
    peer.next(Ping)
    assert [*texts, peer.next(TextMessage).data] == ["eins", "zwei", "drei"]


def test_nothing_in_time_is_none(peer):
    assert peer.server.receive(0) is None


def test_it_can_be_woken(peer):
    threading.Timer(0.05, peer.server.wake).start()
    assert peer.server.receive(LIMIT) is None
    assert peer.server.receive(0) is None


def test_a_close_of_the_client_is_answered_and_told(peer):
    peer.send(CloseConnection(1000, "bye"))
    assert peer.next(CloseConnection).code == 1000
    assert peer.gone.wait(LIMIT)
    with pytest.raises(SocketClosed):
        peer.server.receive(LIMIT)
    with pytest.raises(SocketClosed):
        peer.server.send(["too late"])


def test_a_client_that_is_cut_off_is_told(peer):
    peer.socket.close()
    assert peer.gone.wait(LIMIT)
    with pytest.raises(SocketClosed):
        peer.server.receive(LIMIT)


def test_our_close_waits_for_the_clients(peer):
    threading.Thread(target=peer.server.close, args=(NORMAL, "enough")).start()
    event = peer.next(CloseConnection)
    assert (event.code, event.reason) == (1000, "enough")
    peer.send(event.response())
    assert peer.socket.recv(1) == b""
    assert peer.gone.wait(LIMIT)


@pytest.mark.parametrize("parts", [[1001], [600, 600], [1] * 1001])
def test_a_message_that_is_too_long_ends_it(peer, parts):
    for size in parts:
        peer.send(TextMessage("x" * size, message_finished=False))
    assert peer.next(CloseConnection).code == TOO_BIG
    assert peer.gone.wait(LIMIT)
    peer.socket.sendall(b"x" * 100_000)  # what comes behind is taken, so that our word is not lost
    with pytest.raises(SocketClosed):
        peer.server.receive(LIMIT)


@pytest.mark.parametrize(("data", "code"), [
    (b"\x81\x03abc", 1002),  # not masked
    (b"\xf1\x80\0\0\0\0", 1002),  # reserved bits
    (b"\x81\x82\0\0\0\0\xff\xfe", 1007),  # no UTF-8
])
def test_what_is_no_protocol_ends_it_with_a_word(peer, data, code):
    peer.socket.sendall(data)
    assert peer.next(CloseConnection).code == code
    assert peer.gone.wait(LIMIT)


def test_only_so_many_messages_wait(peer):
    """The rest stays in the network, and nothing is lost."""
    sender = threading.Thread(target=peer.send, args=tuple(TextMessage(f"{n}") for n in range(100)))
    sender.start()
    assert [peer.server.receive(LIMIT) for _ in range(100)] == [f"{n}" for n in range(100)]
    sender.join()
    assert AHEAD < 100


def test_a_client_that_takes_nothing_is_given_up(peer):
    peer._server_socket.settimeout(0.2)
    with pytest.raises(SocketClosed):
        for _ in range(1000):
            peer.server.send(["x" * 100_000])
