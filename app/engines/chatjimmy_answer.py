"""What ChatJimmy answers: the text itself with a block of numbers behind it, Vercel's lines (older builds), or a refusal.

An answer that is none becomes an UpstreamError with the upstream's own words; an empty one means that the prompt is too
long. No OpenAI shapes here but usage and the finish reason.
"""

import codecs
from collections.abc import Mapping
from typing import Any

from app.emulation.special_tokens import SpecialTokenFilter
from app.emulation.stats_block import StatsSplitter, context_was_full, finish_of, usage_of
from app.emulation.vercel_lines import VercelReader, is_announced
from app.engines.openai_wire import ERROR_LIMIT, check_status
from app.engines.wire import WHOLE_LIMIT, Exchange
from app.errors import UpstreamError
from app.utils.json_text import load

REFUSAL = '{"success":false'  # how an error begins, whatever its status and Content-Type


def begin_answer(exchange: Exchange) -> "Answer":
    """Look at the answer's head. Raises UpstreamError for a refusal, and for JSON or a web page in place of text."""
    check_status(exchange)
    response = exchange.open()
    headers = dict(response.headers.items())
    kind = (response.headers.get("Content-Type") or "").lower()
    if "json" in kind or "html" in kind:
        raise _refused(exchange.read_all(ERROR_LIMIT), response.status) or overflow()
    return Answer(headers, response.status)


class Answer:
    """The bytes of one answer, cut anywhere -> its text, free of the block of numbers and of the model's own marks.

    `complete`: the block is whole, nothing that follows counts. `finish` and `usage` (None where nobody counted) are
    known after `end`.
    """

    def __init__(self, headers: Mapping[str, str], status: int = 200, limit: int = WHOLE_LIMIT) -> None:
        self._status = status
        self._left = limit  # bytes that may still come
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._lines = VercelReader(is_announced(headers))
        self._splitter = StatsSplitter()
        self._filter = SpecialTokenFilter()
        self._held: list[str] | None = []  # the beginning, where it may be blank or a refusal; None: it is neither
        self._begins = ""

    @property
    def complete(self) -> bool:
        return self._splitter.complete

    @property
    def finish(self) -> str:
        stats = self._splitter.stats
        return self._lines.finish or "stop" if stats is None else finish_of(stats)

    @property
    def usage(self) -> dict[str, int] | None:
        return usage_of(self._splitter.stats) or self._lines.usage

    def feed(self, data: bytes) -> str:
        """Return the text that may leave. Raises UpstreamError when the answer says an error, or has no end."""
        self._left -= len(data)
        if self._left < 0:
            raise UpstreamError("The upstream's answer is too large.")
        text = self._lines.feed(self._decoder.decode(data))
        self._raise_error()
        return self._open(self._filter.feed(self._splitter.feed(text))) if text else ""

    def end(self) -> str:
        """Return the rest of the text. Raises UpstreamError when there was none: the prompt was too long then."""
        text = self._lines.feed(self._decoder.decode(b"", True)) + self._lines.end()
        self._raise_error()
        text = self._open(self._filter.feed(self._splitter.feed(text) + self._splitter.end()) + self._filter.end())
        if self._held is None:
            return text
        whole = "".join(self._held)
        if not whole.strip():
            raise overflow(self._splitter.stats)
        if self._splitter.stats is None and (refused := _refusal(whole.encode("utf-8", "replace"), self._status)):
            raise refused
        return whole

    def _open(self, text: str) -> str:
        """Hold the beginning back while it is blank, or may be a refusal in place of an answer."""
        if self._held is None:
            return text
        self._held.append(text)
        if len(self._begins) < len(REFUSAL):
            self._begins = (self._begins + "".join(text.split()))[: len(REFUSAL)]
        if REFUSAL.startswith(self._begins):
            return ""
        whole = "".join(self._held)
        self._held = None
        return whole

    def _raise_error(self) -> None:
        if self._lines.error is not None:
            said = self._lines.error.encode("utf-8", "replace")
            raise UpstreamError("The upstream reported an error.", upstream_status=self._status, upstream_body=said)


def overflow(stats: Mapping[str, Any] | None = None) -> UpstreamError:
    """Describe the empty 200 with which ChatJimmy answers a prompt of more than about 6,000 tokens.

    A client error, so that agents compact and do not ask again; `exceeds the context window` is what they look for.
    """
    why = f" ({stats['reason'][:100]})" if stats and context_was_full(stats) else ""
    return UpstreamError(
        f"The conversation exceeds the context window of this model: ChatJimmy answered with empty text{why}.",
        status=400,
        type="invalid_request_error",
        param="messages",
        code="context_length_exceeded",
    )


def _refusal(body: bytes, status: int) -> UpstreamError | None:
    """Return the error that `{"success": false, "error": …}` says, None for anything else."""
    try:
        said = load(body)
    except ValueError:
        return None
    return _refused(body, status) if isinstance(said, dict) and said.get("success") is False else None


def _refused(body: bytes, status: int) -> UpstreamError | None:
    """Describe an answer that is none, in the upstream's words; None when it says nothing at all."""
    if not body.strip():
        return None
    return UpstreamError(
        "The upstream sent something else than an answer.",
        code="upstream_malformed",
        upstream_status=status,
        upstream_body=body[:ERROR_LIMIT],
    )
