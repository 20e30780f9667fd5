"""Who may use the gateway: the keys of GATEWAY_API_KEYS, as a Bearer token, `x-api-key` or `api-key`."""

import hmac

from flask import Flask, request

from app.access import check_unasked
from app.config import SettingsStore
from app.errors import AuthenticationFailed, GatewayError
from app.lifecycle import instance

OPEN_PATHS = ("/health", "/ready")
OWN_CHECK = ("/ws/generate", "/inspector")  # a browser cannot send headers there, so the key may come in other ways
OWN_CHECK_BELOW = "/inspector/"
INSTANCE_HEADER = "X-Gateway-Instance"


def init_app(app: Flask, store: SettingsStore) -> None:
    """Refuse requests without a key where keys are set, else those of strange web pages; the gateway's own always."""

    @app.before_request
    def check() -> None:
        if request.path not in OPEN_PATHS + OWN_CHECK and not request.path.startswith(OWN_CHECK_BELOW):
            check_key(store.current.api_keys, client_key())
            if request.method == "POST" and not store.current.api_keys:
                check_unasked(request.headers)
        if request.headers.get(INSTANCE_HEADER) == instance:
            raise GatewayError(
                "This request comes from the gateway itself: a provider's baseURL in opencode.json points back at it. "
                'Give that provider `"options": {"engine": "alias"}`.',
                status=508,
                code="loop_detected",
            )


def check_key(keys: tuple[str, ...], given: str | None) -> None:
    """Raise AuthenticationFailed unless the key that was given is one of `keys`; with no keys all are welcome."""
    if not keys:
        return
    if given is None:
        raise AuthenticationFailed(
            "No API key was sent. Send `Authorization: Bearer KEY` with a key of this gateway.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if not any([hmac.compare_digest(given.encode(), key.encode()) for key in keys]):
        raise AuthenticationFailed("The API key is not one of this gateway's.", headers={"WWW-Authenticate": "Bearer"})


def client_key() -> str | None:
    """Return the key that the client sent, from wherever OpenAI's and Azure's clients put it."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("x-api-key") or request.headers.get("api-key")
