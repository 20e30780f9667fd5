"""A stored request as a curl command: what a person pastes into a shell to send it again. It holds no key."""

import shlex
from collections.abc import Mapping
from typing import Any

from app.capture import dump

KEY_VARIABLE = "GATEWAY_KEY"
KEPT_HEADERS = ("x-session-id", "openai-beta")
EXPLICIT = ("POST", "GET")


def curl_text(url: str, row: Mapping[str, Any], headers: Mapping[str, Any], body: object, has_keys: bool) -> str:
    """Return the command for a request to the gateway at `url` (no slash at its end); `body` None for none.

    Keys were masked when the request was stored: where the gateway wants one, it comes from a shell variable.
    """
    parts = ["curl", "-sS", "--no-buffer", shlex.quote(url + str(row.get("path") or "/"))]
    if row.get("method") not in (None, "POST" if body is not None else "GET"):
        parts += ["-X", shlex.quote(str(row["method"]))]
    if has_keys:
        parts.append(f'-H "Authorization: Bearer ${KEY_VARIABLE}"')
    for name, value in headers.items():
        if name.lower() in KEPT_HEADERS:
            parts += ["-H", shlex.quote(f"{name}: {value}")]
    if body is not None:
        parts += ["-H", "'Content-Type: application/json'", "--data-binary", shlex.quote(dump(body))]
    return " ".join(parts) + "\n"
