"""A URL that a stranger wrote, read strictly: http or https, no password, a plain host, a port for the web. No I/O."""

import re
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from app.tools.tool import ToolError

LONGEST = 8_192  # characters
PORTS = {"http": 80, "https": 443}
FIRST_FREE_PORT = 1_024  # below it, ports other than 80 and 443 belong to mail, shells and databases
_BAD = re.compile(r"[\x00-\x20\x7f\\]")
_SAFE = "/:?#[]@!$&'()*+,;=%~-._"
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")


class Url(NamedTuple):
    """Where a request goes: `host` in ASCII, without brackets; `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The Host header's value."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def read_url(text: str) -> Url:
    """Read a URL. Raises ToolError that says what is wrong with it."""
    if len(text) > LONGEST or _BAD.search(text):
        raise ToolError(f"The URL is longer than {LONGEST} characters or holds blanks or control characters")
    try:
        parts = urlsplit(text)
        port = parts.port
        host = ascii_host(parts.hostname or "")
    except (ValueError, UnicodeError):
        raise ToolError("The URL is not well formed") from None
    if parts.scheme not in PORTS:
        raise ToolError("Only http:// and https:// URLs can be fetched")
    if parts.username is not None or parts.password is not None:
        raise ToolError("A URL with a user name or password is not fetched")
    if not _HOST.fullmatch(host):
        raise ToolError("The URL names no host")
    port = PORTS[parts.scheme] if port is None else port
    if port not in PORTS.values() and port < FIRST_FREE_PORT:
        raise ToolError(f"Port {port} is not one of the web's: 80, 443 and those from {FIRST_FREE_PORT} up can be asked")
    query = f"?{parts.query}" if parts.query else ""
    return Url(parts.scheme, host, port, quote((parts.path or "/") + query, safe=_SAFE))


def ascii_host(host: str) -> str:
    """Return a host's name as it is asked of DNS. Raises UnicodeError."""
    return host if host.isascii() else host.encode("idna").decode("ascii")
