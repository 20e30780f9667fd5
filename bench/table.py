"""Prints rows as a table: absolute numbers, and the ratio of CPU to the floor of the same run."""

from collections.abc import Iterable

from bench.measure import Row

HEADINGS = (
    "",
    "requests",
    "bad",
    "CPU ms/request",
    "x floor",
    "us/chunk",
    "req/s",
    "first ms",
    "p50 ms",
    "p99 ms",
    "MB",
    "",
)


def number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def cells(row: Row, floor: float | None) -> list[str]:
    ratio = row.cpu_ms / floor if row.cpu_ms is not None and floor else None
    counts = [str(row.requests), str(row.bad)]
    costs = [number(row.cpu_ms), number(ratio, 1), number(row.chunk_us, 1), number(row.per_second, 0)]
    times = [number(row.first_byte_ms, 1), number(row.p50_ms, 1), number(row.p99_ms, 1), number(row.memory_mb, 0)]
    return [row.name, *counts, *costs, *times, row.note]


def format_table(rows: Iterable[Row], floor: float | None) -> str:
    """Write the rows in Markdown, columns aligned."""
    lines = [list(HEADINGS), *(cells(row, floor) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    lines.insert(1, ["-" * width for width in widths])

    def write(line: list[str]) -> str:
        padded = (c.ljust(w) if n in (0, len(widths) - 1) else c.rjust(w) for n, (c, w) in enumerate(zip(line, widths)))  # noqa: B905
        return f"| {' | '.join(padded)} |"

    return "\n".join(write(line) for line in lines)
