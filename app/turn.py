"""One turn of a conversation: the request goes to its upstream and comes back repaired; once more where that may help.

A second attempt is made only while nothing has reached the client: after an empty or malformed turn, after a refusal
that names a parameter (which is left out from then on), after one that misses thought signatures, and after one of a
tool call (see retries.py). Each once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from app import quirks, retries
from app.call import UpstreamCall
from app.engines import engine_for
from app.errors import GatewayError, UpstreamError, UpstreamTruncated
from app.measures import ENGINE, PREPARE, REPAIR, Measures
from app.quirks.answer import asked_again
from app.quirks.errors import TurnUnusable, map_upstream_error
from app.quirks.families import EMULATION_OPTIONS, family_of
from app.quirks.openai_stream import says_something, without_reasoning
from app.quirks.report import Report
from app.quirks.signatures import dialect_of_refusal
from app.utils.defaults import with_defaults

if TYPE_CHECKING:
    from app.config import Settings
    from app.engines import Engine
    from app.utils.model_resolver import Target

UNUSABLE = "unusable"  # the reason to ask again for an answer that is empty, malformed or cut
ATTEMPTS = 8  # the first, and one for each reason to try again; an upstream may name refused parameters one by one


class SignatureStore(Protocol):
    """Where thought signatures of earlier answers are kept, by tool call id."""

    def get_many(self, ids: Any) -> Mapping[str, str]: ...
    def put(self, identifier: str, signature: str) -> None: ...


@dataclass
class Turn:
    """What one request needs on its way: the client's body and headers, its target, the call and the report."""

    body: Mapping[str, Any]
    target: "Target"
    settings: "Settings"
    call: UpstreamCall
    report: Report
    headers: Mapping[str, str]
    signatures: SignatureStore | None = None

    def __post_init__(self) -> None:
        self.call.note = self.report.note
        self._lap = self.call.trace.measures.lap
        self._engine = self._choose_engine()
        self._tried: dict[str, UpstreamError] = {}
        self._dummies = False
        self._modes = quirks.read_modes(self.settings, self.target.options)
        self._take_dialect()

    def _choose_engine(self) -> "Engine":
        engine = engine_for(self.target.engine_name)
        if (stand_in := getattr(engine, "stand_in", None)) is not None:  # it plays what another model once said
            self.target = stand_in(self.body, self.target, self.call)
            engine = engine_for(self.target.engine_name)
        if not any(self.target.options.get(name) for name in EMULATION_OPTIONS):
            return engine
        from app.emulated import EmulatedEngine  # only for models without tools

        return EmulatedEngine(engine, self.report)

    def complete(self) -> dict[str, Any]:
        """Return the whole answer, repaired. Raises errors of the gateway's tree."""
        while True:
            try:
                sent = self._prepare()
                answer = retries.ask(self._engine, sent, self.target, self.call)
                self._lap(ENGINE)
                repaired = quirks.repair(answer, sent, self.target, self.report, self.call, **self._how())
                self._lap(REPAIR)
                return repaired
            except UpstreamError as error:
                self._recover(error)

    def stream(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the answer's chunks, repaired, one list per upstream read; an empty list where nothing leaves yet."""
        thought = False  # reasoning has left; that of a second attempt would only repeat it
        while True:
            reached_client, heard = False, thought
            try:
                for chunks in self._attempt():
                    chunks = without_reasoning(chunks) if heard else chunks
                    thought = thought or (bool(chunks) and not reached_client)
                    reached_client = reached_client or says_something(chunks)
                    yield chunks
                return
            except UpstreamError as error:
                if reached_client:
                    raise as_client_error(error) from error
                self._recover(error)

    def _attempt(self) -> Iterator[list[dict[str, Any]]]:
        sent = self._prepare()
        batches = self._engine.stream(sent, self.target, self.call)
        options = self.body.get("stream_options")
        usage = bool(isinstance(options, dict) and options.get("include_usage"))
        how = self._how() | {
            "hold": self.settings.hold_tool_calls,
            "on_truncated": self.settings.on_truncated,
            "include_usage": usage,
            "on_usage": self.call.trace.measures.take_usage,
        }
        read = _read(batches, self.call.trace.measures)
        repaired = quirks.repair_stream(read, sent, self.target, self.report, self.call, **how)
        try:
            for chunks in repaired:
                self._lap(REPAIR)
                yield chunks
        finally:
            for generator in (repaired, batches):
                if (close := getattr(generator, "close", None)) is not None:
                    close()

    def _prepare(self) -> dict[str, Any]:
        self.report.restart()
        self.call.last_attempt = UNUSABLE in self._tried
        for reason, error in self._tried.items():
            asked_again(self.report.note, error, reason)
        whole, defaulted = with_defaults(self.body, self.target, self.settings)
        if whole.get("stream") and self.target.options.get("includeUsage") is not False:
            # Always asked for: the log and the traces want to know; the client is told only if it asked itself.
            whole["stream_options"] = {**(whole.get("stream_options") or {}), "include_usage": True}
        learned = self.call.lessons.parameters.get(self._upstream(), ())
        prepared = quirks.prepare(
            whole,
            self.target,
            self.report,
            settings=self.settings,
            learned=learned,
            defaulted=defaulted,
            signatures=self.signatures,
            headers=self.headers,
        )
        if self._dummies:
            facts = quirks.facts_for(prepared, self.target, self.report)
            prepared = quirks.with_dummy_signatures(prepared, facts)
        if retries.TOOLS_ALLOWED in self._tried:
            prepared = retries.with_tools_allowed(prepared, self.report)
        if not getattr(self._engine, "NOTES_REQUEST", False):
            self.call.trace.note("upstream_request", prepared)
        self._lap(PREPARE)
        return prepared

    def _how(self) -> dict[str, Any]:
        return {
            "modes": self._modes,
            "last_attempt": self.call.last_attempt,
            "on_signature": self.signatures.put if self.signatures is not None else None,
            "whole_calls": getattr(self._engine, "WHOLE_CALLS", False),
        }

    def _recover(self, error: UpstreamError) -> None:
        """Change what may help and return, or raise what the client is to be told."""
        reason = self._reason(error)
        if self.call.cancel.cancelled or reason is None or reason in self._tried or len(self._tried) >= ATTEMPTS - 1:
            raise as_client_error(error) from error
        if isinstance(error, UpstreamTruncated):  # else it would be forgotten: what comes next may be sound
            self.call.trace.note("upstream_failure", {"type": UpstreamTruncated.__name__, "message": str(error)})
        self._tried[reason] = error
        self.call.trace.measures.retries.append(reason.partition(" ")[0])

    def _reason(self, error: UpstreamError) -> str | None:
        if isinstance(error, TurnUnusable | UpstreamTruncated):
            return UNUSABLE
        if retries.is_refused_call(error):
            body, _ = with_defaults(self.body, self.target, self.settings)
            return retries.reason_to_allow(error, body, self.target.options, self._modes)
        if error.upstream_status != 400:
            return None
        text = (error.upstream_body or b"").decode("utf-8", "replace")
        if dialect := dialect_of_refusal(text):
            if family_of(self.target.model, self.target.options, self.target.base_url) != dialect:
                self.call.lessons.dialects[self._upstream()] = dialect
                self._take_dialect()
                return f"dialect {dialect}"
            self._dummies = True
            return "signature"
        known = self.call.lessons.parameters.setdefault(self._upstream(), set())
        new = {quirks.learned_name(field, at) for field, at in quirks.learn(text)} - known
        known |= new
        return f"refused {', '.join(sorted(new))}" if new else None

    def _take_dialect(self) -> None:
        """Treat the upstream as what it turned out to be, whatever its models are called."""
        if dialect := self.call.lessons.dialects.get(self._upstream()):
            self.target = replace(self.target, options={"dialect": dialect, **self.target.options})

    def _upstream(self) -> str:
        return f"{self.target.base_url} {self.target.litellm_model}"


def _read(batches: Iterator[list[Any]], measures: Measures) -> Iterator[list[Any]]:
    """Yield what the engine yields, its time measured."""
    for batch in batches:
        measures.lap(ENGINE)
        yield batch


def as_client_error(error: UpstreamError) -> GatewayError:
    """Return what the client is told about a refusal: the upstream's status and words in OpenAI's shape."""
    status, body = error.upstream_status, error.upstream_body
    if status is None or isinstance(error, TurnUnusable) or (300 <= status < 400):
        return error
    if status < 300 and not (body or b"").strip():
        return error
    return map_upstream_error(status if status >= 400 else 502, error.upstream_headers, body)
