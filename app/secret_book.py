"""Which texts are keys right now: the configured ones and those clients sent; knows where a request carries them."""

import base64
import binascii
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Protocol

from app.utils.masking import Masker

REMEMBERED = 256
MASKERS = 64
KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key", "proxy-authorization")
KEY_ARGUMENTS = ("key", "api_key", "apikey", "token", "access_token")


class SecretBook:
    """Hands out maskers for the known keys; thread-safe. `source` returns the configured keys, asked each time."""

    def __init__(self, source: Callable[[], Iterable[str]] = tuple) -> None:
        self._source = source
        self._recent: OrderedDict[str, None] = OrderedDict()
        self._maskers: OrderedDict[tuple[str, ...], Masker] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, secrets: Iterable[str]) -> None:
        """Keep the last 256 keys that requests brought, so that log lines without a request hide them too."""
        with self._lock:
            for secret in secrets:
                self._recent[secret] = None
                self._recent.move_to_end(secret)
            while len(self._recent) > REMEMBERED:
                self._recent.popitem(last=False)

    def secrets(self, extra: Iterable[str] = ()) -> tuple[str, ...]:
        """Return the configured keys and `extra`."""
        return (*self._source(), *extra)

    def masker(self, extra: Iterable[str] = ()) -> Masker:
        """Return a masker for the configured keys and `extra`; the same object while these stay the same."""
        return self._masker_for(self.secrets(extra))

    def masker_for_all(self) -> Masker:
        """Return a masker that also knows the keys of recent requests."""
        with self._lock:
            recent = tuple(self._recent)
        return self._masker_for((*self._source(), *recent))

    def _masker_for(self, secrets: tuple[str, ...]) -> Masker:
        with self._lock:
            if secrets in self._maskers:
                self._maskers.move_to_end(secrets)
                return self._maskers[secrets]
        masker = Masker(secrets)
        with self._lock:
            self._maskers[secrets] = masker
            if len(self._maskers) > MASKERS:
                self._maskers.popitem(last=False)
        return masker


class Lookup(Protocol):
    """Headers or query arguments of any framework."""

    def get(self, name: str, default: str, /) -> str: ...


def read_request_secrets(headers: Lookup, arguments: Lookup) -> tuple[str, ...]:
    """Return the keys that a request carries: Authorization (Bearer, Basic, bare), key headers, key query arguments."""
    secrets = _read_authorization(headers.get("Authorization", "").strip())
    secrets += [headers.get(name, "") for name in KEY_HEADERS]
    secrets += [arguments.get(name, "") for name in KEY_ARGUMENTS]
    return tuple(secret for secret in secrets if secret)


def _read_authorization(value: str) -> list[str]:
    scheme, space, rest = value.partition(" ")
    token = (rest if space else value).strip()
    if scheme.lower() != "basic":
        return [] if token.lower() == "bearer" else [token]
    try:
        decoded = base64.b64decode(token, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return [token]
    return [token, decoded.partition(":")[2]]
