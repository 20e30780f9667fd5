"""What storing requests costs: the same loads with GATEWAY_TRACE off and chunks, in turns, on two gateways side by side.

CPU is read when all is stored. The process that writes runs on the other cores, and its CPU is told apart.
"""

import contextlib
from collections.abc import Iterator

from bench.gateway import PLAIN, gateway, model_name
from bench.load import Job, send
from bench.measure import CHAT, Row, Sizes, agent_body, chat_body
from bench.processes import Server

OFF, ON = DEPTHS = ("off", "chunks")
ROUNDS = 5
SHORT, LONG = 2, 502  # chunks


def measure_tracing(upstream_port: int, worker_class: str, sizes: Sizes, engine: str = "relay") -> Iterator[Row]:
    """Yield a row for each load: with tracing on, and how much that is above off."""
    burst = {n: chat_body(model_name(engine, f"burst/{n}"), True) for n in (SHORT, LONG)}
    whole = chat_body(model_name(engine, f"burst/{LONG}"), False)
    big = agent_body(model_name(engine, "burst/2", PLAIN), False)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(gateway(upstream_port, worker_class, GATEWAY_TRACE=depth)) for depth in DEPTHS]
        yield compare(f"{engine}, whole answer, stored", servers, whole, sizes.short, sizes)[1]
        yield compare(f"{engine}, 60 KB with 25 tools, stored", servers, big, sizes.scaled(0.4).short, sizes)[1]
        few = compare("", servers, burst[SHORT], sizes.short, sizes)
        many = compare(f"{engine}, stream in bursts, stored", servers, burst[LONG], sizes.long, sizes)
        pairs = zip(few, many, strict=True)
        prices = [(b.cpu_ms - a.cpu_ms) / (LONG - SHORT) * 1000 for a, b in pairs if a.cpu_ms and b.cpu_ms]
        many[1].chunk_us = prices[1]
        many[1].note += f", {prices[1] - prices[0]:+.1f} us a chunk"
        yield many[1]


def compare(name: str, servers: list[Server], body: str, requests: int, sizes: Sizes) -> list[Row]:
    """Return the rows of both servers, each with the best of several rounds; the second says how it compares."""
    best: list[Row | None] = [None, None]
    for _ in range(ROUNDS):
        for number, server in enumerate(servers):
            row = measure(name, server, body, requests, sizes)
            known = best[number]
            if known is not None:
                fastest = max(row.per_second or 0, known.per_second or 0)
                row = row if (row.cpu_ms or 0) < (known.cpu_ms or 0) else known
                row.per_second = fastest
            best[number] = row
    off, on = rows = [row for row in best if row is not None]
    cpu, throughput = share(off.cpu_ms, on.cpu_ms), share(off.per_second, on.per_second)
    on.note = f"{on.note}; CPU {cpu:+.0%}, throughput {throughput:+.0%} against off"
    return rows


def measure(name: str, server: Server, body: str, requests: int, sizes: Sizes) -> Row:
    """Send one load and count what it cost, the writing included."""
    send(Job(server.port, CHAT, body, min(sizes.warm, requests), 8, sizes.seconds))
    server.pin_children()
    before, beside = server.rest(), server.children_seconds()
    outcome = send(Job(server.port, CHAT, body, requests, 8, sizes.seconds))
    cpu, beside = server.rest() - before, server.children_seconds() - beside
    good = max(1, outcome.good)
    return Row(
        name, outcome.good, outcome.bad, cpu / good * 1000, None, outcome.good / outcome.seconds, outcome.first_byte_p50,
        outcome.p50, outcome.p99, server.memory_mb(), f"{beside / good * 1000:.2f} ms in the writer's process",
        tuple(outcome.errors),
    )  # fmt: skip


def share(before: float | None, after: float | None) -> float:
    return (after or 0.0) / before - 1 if before else 0.0
