"""Fetches a page of the public internet, and of nothing else: no address of this machine or its network, ever.

A host's name is resolved once, every address it has is checked, and the connection goes to an address that was checked
(a name that changes its answer in between gains nothing). Each redirect is a new URL with the same checks. Proxies are
not used: behind one, nobody here would see where the request really goes.
"""

import http.client
import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Annotated, Any, NamedTuple
from urllib.parse import urljoin

from app.engines.network import describe, tls_context
from app.tools.addresses import Address, is_public
from app.tools.tool import ToolError
from app.tools.url_check import Url, read_url
from app.version import USER_AGENT

REDIRECTS = (301, 302, 303, 307, 308)
MOST_ADDRESSES = 4  # of one name that are tried
FAILURES = (OSError, http.client.HTTPException, ValueError)
# Character sets that are decoded; Python has others that are slow or no character sets at all.
_CHARSETS = re.compile(
    r"utf-?8|utf-?16(-?[lb]e)?|(us-)?ascii|iso-?8859-\d+|windows-\d+|latin-?1|gb2312|gbk|gb18030|big5|euc-(kr|jp)"
    r"|shift[_-]jis|koi8-[ru]"
)

Allowed = Callable[[Address], bool]
Resolve = Callable[[str, int], Iterable[str]]


class Limits(NamedTuple):
    """What one call may take, redirects included."""

    seconds: float = 20.0
    most_bytes: int = 1_048_576
    redirects: int = 5


LIMITS = Limits()


def addresses_of(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of a host. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def make_http_get(
    allowed: Allowed = is_public, resolve: Resolve = addresses_of, limits: Limits = LIMITS
) -> Callable[[str], dict[str, Any]]:
    """Return the tool. `allowed` says which addresses may be asked; `resolve` stands in for DNS."""

    def http_get(url: Annotated[str, "URL to fetch"]) -> dict[str, Any]:
        """Make an HTTP GET request"""
        return fetch(url, allowed, resolve, limits)

    return http_get


def fetch(text: str, allowed: Allowed, resolve: Resolve, limits: Limits) -> dict[str, Any]:
    """Return {"status", "url", "content_type", "body", "truncated"} of a URL after its redirects. Raises ToolError."""
    end = time.monotonic() + limits.seconds
    for _ in range(limits.redirects + 1):
        url = read_url(text)
        with Visit(url, checked_addresses(url, allowed, resolve, end), end) as visit:
            location = visit.response.headers.get("Location")
            if visit.response.status not in REDIRECTS or not location:
                return visit.result(limits.most_bytes)
        text = next_url(url, location)
    raise ToolError(f"More than {limits.redirects} redirects")


def next_url(url: Url, location: str) -> str:
    """Return where a redirect leads. Raises ToolError."""
    try:
        return urljoin(str(url), location.strip())
    except ValueError:
        raise ToolError("A redirect's URL is not well formed") from None


def checked_addresses(url: Url, allowed: Allowed, resolve: Resolve, end: float) -> list[str]:
    """Return the addresses of a host, all of which may be asked. Raises ToolError when one may not, or there is none."""
    found = _resolve_in_time(url, resolve, end)
    for text in found:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise ToolError(f"The address of {url.host} is not understood") from None
        if not allowed(address):
            raise ToolError(f"{url.host} is not on the public internet: it is not fetched")
    if not found:
        raise ToolError(f"{url.host}: its name cannot be resolved")
    return found[:MOST_ADDRESSES]


def _resolve_in_time(url: Url, resolve: Resolve, end: float) -> list[str]:
    """Resolve in a thread: the system's resolver takes no time limit."""
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(resolve(url.host, url.port)))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True, name="resolve").start()
    try:
        answer = answers.get(timeout=max(0.0, end - time.monotonic()))
    except queue.Empty:
        raise ToolError(f"{url.host}: its name was not resolved in time") from None
    if isinstance(answer, Exception):
        raise ToolError(f"{url.host}: its name cannot be resolved")
    return answer


class Visit:
    """One GET: a connection to one of the checked addresses, cut when the time is over. Raises ToolError."""

    def __init__(self, url: Url, addresses: list[str], end: float) -> None:
        self._url, self._late = url, threading.Event()
        self._connection = http.client.HTTPConnection(url.host, url.port)
        self._socket = self._connect(addresses, end)
        self._watch = threading.Timer(max(0.0, end - time.monotonic()), self._cut)
        self._watch.daemon = True
        self._watch.start()
        try:
            self.response = self._ask()
        except FAILURES as error:
            self.__exit__()
            raise self._explain(error) from None
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> "Visit":
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.cancel()
        for part in (getattr(self, "response", None), self._connection, self._socket):
            if part is not None:
                part.close()

    def result(self, most_bytes: int) -> dict[str, Any]:
        """Read the body and return what the tool answers."""
        try:
            body, truncated = self._read(most_bytes)
        except FAILURES as error:
            raise self._explain(error) from None
        headers = self.response.headers
        content_type = headers.get("Content-Type", "").strip()
        if headers.get("Content-Encoding", "identity").strip().lower() not in ("identity", ""):
            raise ToolError("The answer is compressed although that was not asked for")
        charset = (headers.get_content_charset("utf-8") or "").lower()
        if b"\0" in body and not charset.startswith("utf-16"):
            raise ToolError(f"The answer is not text ({content_type[:100] or 'unknown type'})")
        text = body.decode(charset if _CHARSETS.fullmatch(charset) else "utf-8", "replace")
        return {"status": self.response.status, "url": str(self._url), "content_type": content_type, "body": text,
                "truncated": truncated}  # fmt: skip

    def _connect(self, addresses: list[str], end: float) -> socket.socket:
        failure: OSError = OSError()
        for address in addresses:
            left = end - time.monotonic()
            try:
                return socket.create_connection((address, self._url.port), timeout=max(0.01, left))
            except OSError as error:
                failure = error
        if time.monotonic() >= end:
            self._late.set()
        raise self._explain(failure)

    def _ask(self) -> http.client.HTTPResponse:
        if self._url.scheme == "https":
            # The handshake comes later, when the watch can reach the socket that makes it.
            self._socket = tls_context().wrap_socket(
                self._socket, server_hostname=self._url.host, do_handshake_on_connect=False
            )
            self._socket.do_handshake()
        connection = self._connection
        connection.sock = self._socket
        connection.putrequest("GET", self._url.target, skip_host=True, skip_accept_encoding=True)
        headers = {"Host": self._url.authority, "User-Agent": USER_AGENT, "Accept": "*/*"}
        for name, value in (headers | {"Accept-Encoding": "identity", "Connection": "close"}).items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse()

    def _read(self, most_bytes: int) -> tuple[bytes, bool]:
        pieces, size = [], 0
        while size <= most_bytes and (piece := self.response.read(65_536)):
            pieces.append(piece)
            size += len(piece)
        if self._late.is_set() or (size <= most_bytes and self.response.length):
            raise http.client.IncompleteRead(b"")
        return b"".join(pieces)[:most_bytes], size > most_bytes

    def _cut(self) -> None:
        self._late.set()
        try:
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # not TLS's own goodbye, which may wait
        except OSError:
            self._socket.close()

    def _explain(self, error: Exception) -> ToolError:
        if self._late.is_set() or isinstance(error, TimeoutError):
            return ToolError(f"{self._url.host}: took too long")
        if isinstance(error, http.client.IncompleteRead):
            return ToolError(f"{self._url.host}: the answer ended too early")
        if isinstance(error, http.client.HTTPException | ValueError) and not isinstance(error, ssl.SSLError):
            return ToolError(f"{self._url.host}: the answer is not HTTP")
        return ToolError(f"{self._url.host}: {describe(error)}")
