"""Turns loads into numbers: CPU a request and a chunk, latency, memory. It knows what to send, not how to print."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.gateway import GEMINI, PLAIN, model_name
from bench.load import Job, Outcome, send
from bench.processes import Server

FIXTURES = Path(__file__).parent / "fixtures"


@dataclass
class Row:
    """One line of the table. None: does not apply. Times of the worker process, user and system."""

    name: str
    requests: int
    bad: int
    cpu_ms: float | None = None  # a request (of a stream: without its chunks)
    chunk_us: float | None = None  # a chunk more
    per_second: float | None = None
    first_byte_ms: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    memory_mb: float | None = None
    note: str = ""
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sizes:
    """How much is sent: short requests, long and paced streams, warm-up, slow streams; a limit in seconds."""

    short: int = 1000
    long: int = 150
    paced: int = 60
    warm: int = 40
    slow: int = 1000
    seconds: float = 120.0

    def scaled(self, factor: float) -> "Sizes":
        short, long, paced, warm = (max(2, round(n * factor)) for n in (self.short, self.long, self.paced, self.warm))
        return Sizes(short, long, paced, warm, self.slow, self.seconds)


def chat_body(model: str, stream: bool) -> str:
    """A short chat request."""
    body: dict = {"model": model, "messages": [{"role": "user", "content": "Write five hundred words."}]}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body)


def agent_body(model: str, stream: bool, size: int = 60_000) -> str:
    """Cline's own request with its 25 tools, its history grown with calls and results to `size` bytes."""
    body = json.loads((FIXTURES / "cline-25-tools.json").read_text("utf-8"))
    body |= {"model": model, "stream": stream}
    if not stream:
        body.pop("stream_options", None)
    number = 0
    while len(json.dumps(body)) < size:
        number += 1
        function = {"name": "read_files", "arguments": json.dumps({"paths": [f"src/module_{number}.py"]})}
        call = {"id": f"call_{number:024d}", "type": "function", "function": function}
        text = "".join(f"    value_{line} = compute({line})  # as before\n" for line in range(60))
        body["messages"] += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": text},
        ]
    return json.dumps(body)


def load(server: Server, path: str, body: str, requests: int, sizes: Sizes, concurrency: int) -> tuple[Outcome, float]:
    """Warm up, send, and give the outcome and the CPU seconds that the worker spent on it."""
    send(Job(server.port, path, body, min(sizes.warm, requests), concurrency, sizes.seconds))
    before = server.cpu_seconds()
    outcome = send(Job(server.port, path, body, requests, concurrency, sizes.seconds))
    return outcome, server.cpu_seconds() - before


def row_of(name: str, outcome: Outcome, cpu: float, server: Server) -> Row:
    good = max(1, outcome.good)
    return Row(
        name,
        outcome.good,
        outcome.bad,
        cpu / good * 1000,
        None,
        outcome.good / outcome.seconds if outcome.seconds else None,
        outcome.first_byte_p50,
        outcome.p50,
        outcome.p99,
        server.memory_mb(),
        errors=(*outcome.errors, server.last_traceback()) if outcome.bad else (),
    )


def measure_whole(name: str, server: Server, path: str, body: str, sizes: Sizes, concurrency: int = 8) -> Row:
    """Measure requests with one answer each."""
    outcome, cpu = load(server, path, body, sizes.short, sizes, concurrency)
    return row_of(name, outcome, cpu, server)


def measure_stream(
    name: str, server: Server, ends: tuple[tuple[str, str, int], tuple[str, str, int]], requests: tuple[int, int],
    sizes: Sizes, concurrency: int = 8,
) -> Row:  # fmt: skip
    """Measure streams of two lengths, each (path, body, chunks): the difference is the price of a chunk."""
    (short_path, short_body, few), (long_path, long_body, many) = ends
    short, short_cpu = load(server, short_path, short_body, requests[0], sizes, concurrency)
    long, long_cpu = load(server, long_path, long_body, requests[1], sizes, concurrency)
    row = row_of(name, long, long_cpu, server)
    each_short, each_long = short_cpu / max(1, short.good), long_cpu / max(1, long.good)
    chunk = max(0.0, (each_long - each_short) / (many - few))
    row.cpu_ms, row.chunk_us = max(0.0, each_short - few * chunk) * 1000, chunk * 1_000_000
    row.requests, row.bad = short.good + long.good, short.bad + long.bad
    row.errors = (*short.errors, *long.errors, server.last_traceback()) if row.bad else ()
    return row


def measure_floors(server: Server, sizes: Sizes) -> Iterator[Row]:
    """Measure bare WSGI: a whole answer (the floor of all ratios), a stream in one write, one write a chunk."""
    body, asked = chat_body("m", False), chat_body("m", True)
    yield measure_whole("bare WSGI, whole answer", server, "/", body, sizes)
    for kind, words in (("burst", "one write"), ("stream", "a write a chunk")):
        ends = ((f"/{kind}/2", asked, 2), (f"/{kind}/502", asked, 502))
        yield measure_stream(f"bare WSGI, stream, {words}", server, ends, (sizes.short, sizes.long), sizes)


CHAT = "/v1/chat/completions"


def measure_engine(server: Server, engine: str, sizes: Sizes) -> Iterator[Row]:
    """Measure one engine: whole answers, streams in bursts and paced, an agent's big request, tool calls."""
    burst = [(CHAT, chat_body(model_name(engine, f"burst/{n}"), True), n) for n in (2, 502)]
    paced = [(CHAT, chat_body(model_name(engine, f"paced/{n}"), True), n) for n in (2, 102)]
    whole = chat_body(model_name(engine, "burst/502"), False)
    yield measure_whole(f"{engine}, whole answer", server, CHAT, whole, sizes)
    yield measure_stream(f"{engine}, stream in bursts", server, (burst[0], burst[1]), (sizes.short, sizes.long), sizes)
    counts = (sizes.short // 2, sizes.paced)
    yield measure_stream(f"{engine}, stream paced", server, (paced[0], paced[1]), counts, sizes, 20)
    some = sizes.scaled(0.4)
    for model in (PLAIN, GEMINI):
        big = agent_body(model_name(engine, "burst/2", model), False)
        yield measure_whole(f"{engine}, 60 KB with 25 tools, {model}", server, CHAT, big, some)
    calls = agent_body(model_name(engine, "calls/2", GEMINI), True)
    yield measure_whole(f"{engine}, 60 KB, 2 calls streamed, {GEMINI}", server, CHAT, calls, some)


def measure_own(server: Server, sizes: Sizes) -> Iterator[Row]:
    """Measure what needs no upstream: /health and the mock."""
    yield measure_whole("/health", server, "/health", "", sizes)
    yield measure_whole("mock, whole answer", server, CHAT, chat_body("mock/mock", False), sizes)
    yield measure_whole("mock, stream", server, CHAT, chat_body("mock/mock", True), sizes)


def measure_slow(server: Server, engine: str, sizes: Sizes) -> Row:
    """Measure many slow streams at once: 10 chunks, one a second. All must arrive whole."""
    body = chat_body(model_name(engine, "slow/10"), True)
    before = server.cpu_seconds()
    outcome = send(Job(server.port, CHAT, body, sizes.slow, sizes.slow, 90.0))
    row = row_of(f"{engine}, {sizes.slow} slow streams at once", outcome, server.cpu_seconds() - before, server)
    row.note = f"{outcome.good} of {sizes.slow} whole in {outcome.seconds:.1f} s"
    return row


def measure_start(servers: Iterable[Server], name: str) -> Row:
    """Give the middle start-up time: exec to the first 200."""
    times = sorted(s.started_ms for s in servers)
    return Row(name, len(times), 0, p50_ms=times[len(times) // 2], p99_ms=times[-1], note="exec to the first 200")
