"""One question to one model without a server: the same turn that a request takes, in this process; prints nothing."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from app.call import UpstreamCall
from app.cancel import CancelToken
from app.errors import GatewayError
from app.quirks.report import Report
from app.trace import Trace
from app.turn import Turn
from app.utils.model_map import is_own_address
from app.utils.model_resolver import Target

if TYPE_CHECKING:
    from types import FrameType

    from app.config import Settings

KEY_VARIABLE = "OPENAI_API_KEY"


@dataclass
class Answer:
    """What a model has said so far. `usage` is OpenAI's object, None where nobody counted; times are in seconds."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    first: float | None = None  # until the first token
    seconds: float = 0.0

    @property
    def speed(self) -> float | None:
        """Tokens a second after the first one; None where they were not counted or came all at once."""
        count = (self.usage or {}).get("completion_tokens")
        if not isinstance(count, int) or count < 2 or self.first is None or self.seconds <= self.first:
            return None
        return (count - 1) / (self.seconds - self.first)

    def take(self, chunk: dict[str, Any], seconds: float) -> str:
        """Add a chunk (or a whole answer); return the text that it brought."""
        said = ""
        self.seconds = seconds
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        for choice in chunk.get("choices") or ():
            part = choice.get("delta") or choice.get("message") or {}
            for name, kept in (("content", self.text), ("reasoning_content", self.reasoning)):
                if isinstance(part.get(name), str) and part[name]:
                    self.first = seconds if self.first is None else self.first
                    kept.append(part[name])
            said += part.get("content") or ""
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
        return said


def new_turn(body: dict[str, Any], target: Target, settings: "Settings", cancel: CancelToken) -> Turn:
    """Return the turn of one request; `body` is OpenAI's chat request."""
    call = UpstreamCall.from_settings(settings, Trace("CLI", "generate"), cancel, os.urandom(8).hex())
    return Turn(body, target, settings, call, Report(), {})


def ask(turn: Turn, answer: Answer) -> Iterator[str]:
    """Ask; yield the answer's text as it comes and fill `answer`. Raises errors of the gateway's tree."""
    began = time.monotonic()
    if not turn.body.get("stream"):
        if said := answer.take(turn.complete(), time.monotonic() - began):
            yield said
        return
    for chunks in turn.stream():
        for chunk in chunks:
            if said := answer.take(chunk, time.monotonic() - began):
                yield said


def target_at(url: str, model: str, settings: "Settings") -> Target:
    """Return `model` at another address in OpenAI's dialect, such as that of a running gateway.

    The key is GATEWAY_API_KEYS' first where the address is this gateway's own, else OPENAI_API_KEY.
    """
    base_url = url.rstrip("/") + ("" if urlsplit(url).path.strip("/") else "/v1")
    own = is_own_address(base_url, settings.host, settings.port)
    key = next(iter(settings.api_keys), None) if own else settings.environ.get(KEY_VARIABLE)
    nothing: dict[str, Any] = {}
    return Target(
        requested=model,
        provider_id="url",
        model_key=model,
        model=model,
        litellm_model=f"openai/{model}",
        engine_name="relay",
        base_url=base_url,
        api_key=key,
        key_source="none" if not key else "env GATEWAY_API_KEYS" if own else f"env {KEY_VARIABLE}",
        headers=nothing,
        options=nothing,
        body_options=nothing,
        limit=nothing,
        cost=nothing,
        modalities=nothing,
        entry=nothing,
        openai_dialect=True,
    )


class Interrupted(Exception):
    """The user ended it: `exit_code` is 128 and the signal's number, as shells have it."""

    def __init__(self, number: int) -> None:
        super().__init__("Cancelled.")
        self.exit_code = 128 + number


@contextmanager
def cancelled_by_signals() -> Iterator[CancelToken]:
    """Turn Ctrl-C and SIGTERM into a cancellation, so that upstream and model stop too; a second Ctrl-C ends at once.

    Raises Interrupted at the end if one came, whatever error that led to.
    """
    cancel, came = CancelToken(), []

    def on_signal(number: int, frame: "FrameType | None") -> None:
        came.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Not here: the thread that this interrupts may hold the token's lock.
        threading.Thread(target=cancel.cancel, daemon=True).start()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancel
    except (GatewayError, KeyboardInterrupt):
        if not came:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise Interrupted(came[0])
