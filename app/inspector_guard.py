"""Who may look at stored requests: whoever has the token of this server, from this machine only unless keys are set.

They hold conversations, so the gateway being open to a machine's programs is not enough. Behind GATEWAY_API_KEYS other
machines may look too, and a key of these is as good as the token.
"""

import hmac
import secrets

from app.access import check_local
from app.errors import AuthenticationFailed
from app.secret_book import Lookup

TOKEN = secrets.token_urlsafe(24)  # one per server: workers are forked from the process that imported this
COOKIE = "gateway_inspector_"  # and the port: cookies of one machine's servers would mix
PATH = "/inspector"
# A page that shows what models said: nothing of it is ever markup, and nothing is loaded from elsewhere.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def check_machine(peer: str | None, headers: Lookup, keys: tuple[str, ...]) -> None:
    """Raise Forbidden for another machine where no keys are set."""
    if not keys:
        check_local(peer, headers, "open the inspector", "With GATEWAY_API_KEYS set others may, too.")


def check_token(given: tuple[str | None, ...], keys: tuple[str, ...]) -> None:
    """Raise AuthenticationFailed unless one of the texts that were given is the token, or one of the keys."""
    if not any([is_good(text, keys) for text in given]):
        raise AuthenticationFailed(
            "The inspector needs its token: open the address that the gateway prints at its start "
            f"({PATH}?token=…), or send `Authorization: Bearer TOKEN`.",
            headers={"WWW-Authenticate": "Bearer"},
        )


def is_good(given: str | None, keys: tuple[str, ...]) -> bool:
    """Tell whether a text is the token or one of the keys."""
    return given is not None and any([hmac.compare_digest(given.encode(), good.encode()) for good in (TOKEN, *keys)])


def cookie_name(port: str) -> str:
    """Return the name of the cookie of the server at a port."""
    return COOKIE + port


def page_url(url: str) -> str:
    """Return the address that opens the page of the gateway at `url`."""
    return f"{url}{PATH}?token={TOKEN}"
