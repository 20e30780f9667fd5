"""What happened to one request, as references while it runs and masked when read; knows no layout, file or database.

The hot path (`raw`, `emitted`) only appends. Every value leaves a Trace through its masker: by `events()`, `summary()`,
`answer()`, and to sinks. A sink with `live = True` is called as things happen, every sink once at the end.
"""

import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from app.measures import Measures
from app.secret_book import SecretBook
from app.trace_bodies import BODIES, read_value
from app.trace_events import exact_chunks, in_order
from app.trace_room import Room
from app.trace_values import describe_exception, parse, project, split_events
from app.utils.assemble import assemble
from app.utils.cost import cost_of
from app.utils.masking import Masker, is_secret_name
from app.utils.stream_masking import StreamMasker

KEPT_BYTES = 16_000_000  # of chunks, per request; what comes later is only counted
PIECE = 2_000_000  # of them: the first is every request's own, further ones are taken from the room of all
ROOM = Room(128_000_000)  # bytes that the long streams of this process may hold together, until they are stored
KEPT_NOTES = 64
TAIL = 8  # last batches of a stream, kept even when the rest is not: they hold usage and finish_reason
LONGEST_TAIL_BATCH = 262_144
STATIONS = (
    "client_headers",
    "client_request",
    "resolved",
    "upstream_request",
    "upstream_response",
    "answer",
    "repairs",
    "error",
)
OWN_WORDS = frozenset({"id", "method", "engine", "key_source", "client", "finish_reason"})

is_secret = lru_cache(maxsize=256)(is_secret_name)

Event = tuple[int | None, object]  # number of a chunk (None for comments and [DONE]) and its masked value


class Sink(Protocol):
    """Where traces go. All values are masked; a sink must not raise."""

    live: bool

    def note(self, trace: "Trace", station: str, value: Any) -> None: ...
    def raw(self, trace: "Trace", events: list[Event]) -> None: ...
    def emitted(self, trace: "Trace", events: list[Event]) -> None: ...
    def finished(self, trace: "Trace") -> None: ...


class Trace:
    """One request from its arrival to its last byte. Belongs to the thread that serves the request."""

    _taken = 0  # of ROOM

    def __init__(
        self,
        method: str,
        path: str,
        book: SecretBook | None = None,
        sinks: Sequence[Sink] = (),
        secrets: Sequence[str] = (),
        kept_bytes: int = KEPT_BYTES,
        **facts: object,
    ) -> None:
        """Begin a trace; `secrets` are keys that this request itself carries, `facts` go into the summary."""
        self.id = "req_" + os.urandom(12).hex()
        self.raw_chunks = self.emitted_chunks = self.dropped_events = 0
        self._zero = time.perf_counter()
        self._book, self._secrets = book or SecretBook(), tuple(secrets)
        self._sinks, self._live = tuple(sinks), tuple(sink for sink in sinks if sink.live)
        self._facts: dict[str, object] = {"started": time.time(), "method": method, "path": path, **facts}
        self.facts: Mapping[str, object] = self._facts  # unmasked: for those who only count
        self._notes: list[tuple[float, str, object]] = []
        self._chunks: list[tuple[float, str, object]] = []
        self._tail: deque[tuple[str, Any]] = deque(maxlen=TAIL)
        self._kept, self._most, self._limit = 0, min(PIECE, kept_bytes), kept_bytes
        self._read_summary: dict[str, Any] | None = None  # of a trace that is finished
        self._mask: Masker | None = None
        self._duration: float | None = None
        self.body_bytes = 0  # of the request and of a whole answer
        self.measures = Measures(self._zero)
        self.target: Any = None  # where it goes, once that is resolved
        self._masks: dict[str, StreamMasker] = {}

    # --- written by the request ---------------------------------------------------------------------------------

    def note(self, station: str, value: object, data: bytes | None = None) -> None:
        """Keep a reference to what passed one station, or to `data`: the bytes of the body that `value` is.

        An exception is put into words, so that no frame is held.
        """
        if isinstance(value, BaseException):
            value = describe_exception(value)
        self._learn(station, value)
        if len(self._notes) < KEPT_NOTES:
            self._notes.append((time.perf_counter() - self._zero, station, value if data is None else data))
        else:
            self.dropped_events += 1
        if self._live:
            masked = self._read(station, value)
            for sink in self._live:
                sink.note(self, station, masked)

    def describe(self, **facts: object) -> None:
        """Add facts to the summary (status, engine, finish_reason, prompt_tokens, …)."""
        self._facts.update(facts)
        self._read_summary = None

    def raw(self, payloads: list[bytes]) -> None:
        """Keep the data of the upstream events of one read (no `data: ` prefix)."""
        if not payloads:
            return
        self._keep("raw", payloads, sum(map(len, payloads)))
        if self._live:
            self._show("raw", payloads)
        else:
            self.raw_chunks += len(payloads)

    def emitted(self, data: bytes) -> None:
        """Keep what one write sent to the client: whole SSE events."""
        self.measures.written(data[:1] == b":" or data == b"data: [DONE]\n\n")
        self._keep("emitted", data, len(data))
        if self._live:
            self._show("emitted", split_events(data))
        else:
            self.emitted_chunks += data.count(b"\n\n") - (data[:1] == b":")

    def finish(self, status: int | None = None) -> None:
        """End the trace and hand it to every sink; a second call does nothing."""
        if self._duration is not None:
            return
        self._duration, self._mask = time.perf_counter() - self._zero, None
        if status is not None:
            self._facts["status"] = status
        if not self._live:
            self._uncount_done()
        self._read_tail()
        for sink in self._sinks:
            sink.finished(self)

    @property
    def secrets(self) -> tuple[str, ...]:
        """All keys known to this request."""
        return self._book.secrets(self._secrets)

    def clock(self) -> Callable[[], tuple[float, int]]:
        """Return what tells the seconds since the request began and how many events the upstream has sent.

        It does not keep the trace alive: a report that is noted in a trace may hold it.
        """
        zero, weak = self._zero, weakref.ref(self)

        def moment() -> tuple[float, int]:
            trace = weak()
            return time.perf_counter() - zero, trace.raw_chunks if trace is not None else 0

        return moment

    # --- read by log, store and page: masked ----------------------------------------------------------------------

    @property
    def short_id(self) -> str:
        """The first eight characters of the id, for lines that only need to be told apart."""
        return self.id[4:12]

    @property
    def noted_count(self) -> int:
        """How many notes there are."""
        return len(self._notes)

    @property
    def weight(self) -> int:
        """About how many bytes it holds."""
        return self.body_bytes + self._kept

    @property
    def streams(self) -> bool:
        """Whether the client asked for a stream."""
        return bool(self._facts.get("stream"))

    def summary(self) -> dict[str, Any]:
        """Return the facts of the request in one flat masked dict; times in seconds, `started` as Unix time.

        `cost` is in US dollars, None where the model has no prices.
        """
        if self._read_summary is not None:
            return dict(self._read_summary)
        facts = dict(self._facts)
        report = facts.get("repairs")
        facts["repairs"] = report.header() if hasattr(report, "header") else report
        ttft = self.measures.first if facts.get("stream") else None
        duration = self._duration if self._duration is not None else time.perf_counter() - self._zero
        facts |= {
            "id": self.id,
            "cost": cost_of(getattr(self.target, "cost", None) or {}, facts),
            "ttft": ttft,
            "duration": duration,
            "raw_chunks": self.raw_chunks,
            "emitted_chunks": max(self.emitted_chunks, 0),
            "dropped_events": self.dropped_events,
        }
        masker = self.masker()  # this runs for every request: numbers and our own words need no masking
        shown = {name: value for name, value in facts.items()
                 if value is not None and name not in OWN_WORDS and not isinstance(value, (int, float))}  # fmt: skip
        texts = {name: value for name, value in shown.items() if isinstance(value, str) and not is_secret(name)}
        if not masker.is_clean("\0".join(texts.values())):
            texts = {}
        summary = facts | {
            name: masker.mask_named(name, value) if isinstance(value, str) else masker.mask(value)
            for name, value in shown.items() if name not in texts
        }  # fmt: skip
        if self._duration is not None:
            self._read_summary = dict(summary)
        return summary

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield everything kept, in time order, as `{"at": seconds, "station": name, "value": masked}`.

        Stations are those of `note`, and "raw" and "emitted", whose value is a list of events.
        """
        masks = {"raw": StreamMasker(self.masker()), "emitted": StreamMasker(self.masker())}
        for at, station, value in sorted(self._notes + self._chunks, key=lambda event: event[0]):
            if station in masks:
                payloads = split_events(value) if isinstance(value, bytes) else value
                masked: object = [masks[station].mask_payload(payload) for payload in payloads]  # type: ignore[attr-defined]
            else:
                masked = self._read(station, value)
            yield {"at": at, "station": station, "value": masked}

    def noted(self) -> list[tuple[float, str, object]]:
        """Return (seconds, station, value) of all notes, NOT masked, bodies perhaps in bytes: see app.trace_bodies."""
        return [(at, station, project(station, value)) for at, station, value in list(self._notes)]

    def chunks(self, way: str) -> list[tuple[float, Any]]:
        """Return what was kept one way, NOT masked: (seconds, payloads) of "raw", (seconds, bytes) of "emitted"."""
        return [(at, data) for at, kept, data in list(self._chunks) if kept == way]

    def capture_events(self) -> Iterator[dict[str, Any]]:
        """Yield what a capture file holds (see app/capture.py), masked, its texts exact, in time order."""
        masker = self.masker()
        raw, emitted = exact_chunks(masker, self.chunks("raw"), self.chunks("emitted"))
        return in_order([(at, name, masker.mask(read_value(name, value))) for at, name, value in self.noted()], raw, emitted)

    def last(self, station: str) -> Any:
        """Return what was noted last at `station`, masked, or None."""
        for _, noted, value in reversed(self._notes):
            if noted == station:
                return self._read(station, value)
        return None

    def answer(self) -> dict[str, Any] | None:
        """Return the streamed answer as the client would put it together, masked; None where nothing was streamed."""
        if not self.streams:
            return None
        events = [payload for _, way, data in self._chunks if way == "emitted" for payload in split_events(data)]  # type: ignore[arg-type]
        chunks = [chunk for chunk in map(parse, events) if chunk is not None]
        return self.masker().mask(assemble(chunks)) if chunks else None  # type: ignore[return-value]

    # --- inside ---------------------------------------------------------------------------------------------------

    def mask_text(self, text: str) -> str:
        """Return `text` without any key known to this request, for words that leave the gateway, such as an error's."""
        return self.masker().mask_text(text)

    def masker(self) -> Masker:
        """Return what hides all keys known to this request."""
        if self._mask is None or self._duration is None:  # keys may change while it runs
            self._mask = self._book.masker(self._secrets)
        return self._mask

    def _read(self, station: str, value: object) -> object:
        if station in BODIES:
            value = read_value(station, value)
        return self.masker().mask(project(station, value))

    def _keep(self, way: str, data: object, size: int) -> None:
        self._tail.append((way, data))
        if self._kept < self._most or self._grow():
            self._kept += size
            self._chunks.append((time.perf_counter() - self._zero, way, data))
        else:
            self.dropped_events += 1

    def _grow(self) -> bool:
        """Get room for more chunks. Once there was none nothing is kept any more: a capture has no holes."""
        if self._most < self._limit and ROOM.take(PIECE):
            self._taken += PIECE
            self._most = min(self._most + PIECE, self._limit)
            return True
        self._limit = self._most
        return False

    def __del__(self) -> None:
        if self._taken:
            ROOM.give(self._taken)

    def _show(self, way: str, payloads: list[bytes]) -> None:
        mask = self._masks.setdefault(way, StreamMasker(self.masker()))
        events: list[Event] = []
        for payload in payloads:
            number = None
            if payload[:1] != b":" and payload.strip() != b"[DONE]":
                number = self._count(way)
            events.append((number, mask.mask_payload(payload)))
        for sink in self._live:
            (sink.raw if way == "raw" else sink.emitted)(self, events)

    def _count(self, way: str) -> int:
        if way == "raw":
            self.raw_chunks += 1
            return self.raw_chunks
        self.emitted_chunks += 1
        return self.emitted_chunks

    def _learn(self, station: str, value: Any) -> None:
        """Take the facts of the summary from what passes a station."""
        if station == "client_request" and isinstance(value, dict):
            self._facts |= {"model": value.get("model"), "stream": bool(value.get("stream"))}
        elif station == "resolved":
            self.target = value
            target = project(station, value)
            if isinstance(target, dict):
                self._facts |= {
                    "target": target.get("litellm_model") or target.get("model"),
                    "engine": target.get("engine_name"),
                    "key_source": target.get("key_source"),
                    "api_key": target.get("api_key"),
                }
                if isinstance(target.get("api_key"), str):
                    self._secrets = (*self._secrets, target["api_key"])
        elif station in ("answer", "usage"):
            self._learn_answer({"usage": value} if station == "usage" else value)
        elif station == "upstream_response":
            self.body_bytes += len(value) if isinstance(value, bytes) else 0
        elif station == "repairs":
            self._facts["repairs"] = value
        elif station == "error":
            self.measures.error = value.get("type") if isinstance(value, dict) else None
            self._facts["error"] = value.get("message", value) if isinstance(value, dict) else str(value)

    def _learn_answer(self, answer: object) -> None:
        if not isinstance(answer, dict):
            return
        usage = answer.get("usage")
        if isinstance(usage, dict):
            self._facts |= {f"{name}_tokens": usage.get(f"{name}_tokens") for name in ("prompt", "completion")}
            for kind, name in (("completion", "reasoning"), ("prompt", "cached")):
                details = usage.get(f"{kind}_tokens_details")
                self._facts[f"{name}_tokens"] = details.get(f"{name}_tokens") if isinstance(details, dict) else None
        choices = answer.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("finish_reason"):
                self._facts["finish_reason"] = choice["finish_reason"]

    def _uncount_done(self) -> None:
        """Take the closing [DONE] out of the counts: it is no chunk."""
        for way, data in self._tail:
            if way == "raw":
                self.raw_chunks -= sum(payload.strip() == b"[DONE]" for payload in data[-1:])
            elif data.endswith(b"data: [DONE]\n\n"):
                self.emitted_chunks -= 1

    def _read_tail(self) -> None:
        """Take usage and finish_reason from the last events; what the client got overrules what the upstream said.

        Of a whole answer the client got no events: the station `answer` has told.
        """
        if not self.streams:
            return
        for wanted in ("raw", "emitted"):
            for way, data in self._tail:
                if way != wanted or (way == "emitted" and len(data) > LONGEST_TAIL_BATCH):
                    continue
                for payload in data if way == "raw" else split_events(data):
                    if len(payload) <= LONGEST_TAIL_BATCH:
                        self._learn_answer(parse(payload))
        if self.measures.usage is not None:  # the client did not ask for it
            self._learn_answer({"usage": self.measures.usage})
