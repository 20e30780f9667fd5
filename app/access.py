"""Who may do more here than ask a model: programs on this machine, and web pages of the gateway's own address.

A page of another origin may not call the gateway, but a browser sends its POSTs and WebSockets all the same, and tells
whose they are in `Origin`. Which machine a client is on is told by its socket; headers can only speak against it.
"""

import ipaddress
from urllib.parse import urlsplit

from app.config import is_loopback
from app.errors import InvalidRequest
from app.secret_book import Lookup

# What a page may send to any address without the browser asking there first (Fetch standard, "CORS-safelisted").
UNASKED = ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
KEY_HEADERS = ("Authorization", "x-api-key", "api-key")
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")  # a proxy speaks for somebody else


class Forbidden(InvalidRequest):
    status, type, code = 403, "permission_error", "forbidden"


def is_local(peer: str | None, headers: Lookup) -> bool:
    """Tell whether a client runs on this machine. `peer` is its address, "" at the other end of a Unix socket.

    What a proxy on this machine passes on is not local: it says for whom it speaks, or which public name was asked for.
    """
    if any(headers.get(name, "") for name in FORWARDED) or not is_loopback(host_of(headers.get("Host", "")) or "localhost"):
        return False
    if not peer:
        return True
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def host_of(netloc: str) -> str:
    """Return the host of HOST:PORT, as it stands where it cannot be read."""
    try:
        return urlsplit(f"//{netloc}").hostname or netloc
    except ValueError:
        return netloc


def check_local(peer: str | None, headers: Lookup, what: str, instead: str) -> None:
    """Raise Forbidden unless the client runs on this machine; `what` it may not do, and what would allow it."""
    if not is_local(peer, headers):
        raise Forbidden(f"Only programs on the gateway's own machine may {what}. {instead}")


def check_origin(headers: Lookup, has_keys: bool) -> None:
    """Raise Forbidden for a web page of another origin.

    Allowed are clients that are no browser (no `Origin`), pages of this machine, and pages of the address that was asked
    for. Without keys that address must be a number or this machine: a name could be anybody's, made to lead here.
    """
    origin = headers.get("Origin", "")
    if not origin:
        return
    try:
        page = urlsplit(origin)
        host = page.hostname or ""
    except ValueError:
        host = ""
    else:
        own = page.netloc.lower() == headers.get("Host", "").lower() and (has_keys or is_number(host))
        if host and (is_loopback(host) or own):
            return
    raise Forbidden(f"Web pages of {origin[:200]} may not do this. Pages that the gateway's own address serves may.")


def check_unasked(headers: Lookup) -> None:
    """Raise Forbidden for a POST to a gateway without keys that a web page of another origin can send unasked.

    For JSON or a key a browser asks first, and is told no, as there are no CORS headers: what comes so is an extension,
    an app that is no browser, or comes through a proxy that answers in the gateway's place. A page whose own name was
    made to lead here needs not ask.
    """
    scheme, _, place = headers.get("Origin", "").lower().partition("://")
    if scheme not in ("http", "https", "null"):
        return
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    asked = kind not in UNASKED or any(headers.get(name, "") for name in KEY_HEADERS)
    if not asked or place == headers.get("Host", "").lower():
        check_origin(headers, has_keys=False)


def is_number(host: str) -> bool:
    """Tell whether a host is an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
