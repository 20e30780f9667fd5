"""`python -m bench`: starts the fake upstream, the floor and the gateway, measures, prints one table."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from bench import measure
from bench.gateway import ENGINES, bare_wsgi, gateway
from bench.measure import Row, Sizes
from bench.processes import CORES, fake_upstream, raise_file_limit
from bench.table import cells, format_table
from bench.tracing import measure_tracing

PARTS = ("floor", "own", *ENGINES, "tracing", "slow", "start", "repairs", "emulation", "metrics")


def read_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--worker-class", default="gthread", help="gthread, gevent, or both: gthread,gevent")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, separated by commas: {', '.join(PARTS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="multiply all counts")
    parser.add_argument("--slow", type=int, default=1000, help="how many slow streams at once")
    parser.add_argument("--starts", type=int, default=3, help="how many cold starts")
    parser.add_argument("--json", metavar="FILE", help="also write the rows as JSON")
    return parser.parse_args(arguments)


def rows_of(worker_class: str, parts: set[str], sizes: Sizes, starts: int) -> Iterator[Row]:
    """Measure everything on one worker class."""
    if "floor" in parts:
        with bare_wsgi(worker_class) as server:
            yield from measure.measure_floors(server, sizes)
    with fake_upstream() as upstream_port:
        engines = [e for e in ENGINES if e in parts]
        if engines or "own" in parts:
            with gateway(upstream_port, worker_class) as server:
                if "own" in parts:
                    yield from measure.measure_own(server, sizes)
                for engine in engines:
                    yield from measure.measure_engine(server, engine, sizes)
        if "tracing" in parts:
            yield from measure_tracing(upstream_port, worker_class, sizes)
        for engine in ENGINES if "slow" in parts else ():
            with gateway(upstream_port, worker_class, threads=sizes.slow + 50) as server:
                yield measure.measure_slow(server, engine, sizes)
        if "start" in parts:
            yield start_row(upstream_port, worker_class, starts)


def start_row(upstream_port: int, worker_class: str, starts: int) -> Row:
    servers = []
    for _ in range(starts):
        with gateway(upstream_port, worker_class) as server:
            servers.append(server)
    return measure.measure_start(servers, "start-up")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print. The exit code is 1 when any answer was bad."""
    options = read_arguments(arguments)
    raise_file_limit()
    parts = set(options.only.split(","))
    sizes = Sizes(slow=options.slow).scaled(options.scale)
    rows: list[tuple[str, Row]] = []
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, cores {CORES}; one worker, pinned to the first")
    for worker_class in options.worker_class.split(","):
        found = []
        for row in rows_of(worker_class, parts, sizes, options.starts):
            print(*(c for c in cells(row, None) if c), sep="  ", file=sys.stderr, flush=True)
            found.append(row)
        rows += [(worker_class, row) for row in found]
        print(f"\nworker class {worker_class}\n" + format_table(found, floor_of(found)), flush=True)
    if "repairs" in parts:
        from bench.repairs import measure_repairs

        found = list(measure_repairs(max(3, round(30 * options.scale))))
        rows += [("", row) for row in found]
        print("\nrepairs alone\n" + format_table(found, None))
    if "emulation" in parts:
        from bench.emulation import SIZE, measure_emulation

        found = list(measure_emulation(max(2, round(5 * options.scale)), max(2000, round(SIZE * min(1, options.scale)))))
        rows += [("", row) for row in found]
        print("\nreaders of emulated tool calls alone\n" + format_table(found, None))
    if "metrics" in parts:
        from bench.metrics import measure_metrics

        found = list(measure_metrics(max(3, round(30 * options.scale))))
        rows += [("", row) for row in found]
        print("\nmetrics alone\n" + format_table(found, None))
    if options.json:
        found_all = [{"worker_class": worker_class, **asdict(row)} for worker_class, row in rows]
        Path(options.json).write_text(json.dumps(found_all, indent=1) + "\n", "utf-8")
    for _, row in rows:
        for error in row.errors:
            print(f"{row.name}: {error}", file=sys.stderr)
    return 1 if any(row.bad for _, row in rows) else 0


def floor_of(rows: list[Row]) -> float | None:
    return next((row.cpu_ms for row in rows if row.name.startswith("bare WSGI, whole")), None)


if __name__ == "__main__":
    sys.exit(main())
