"""The live feed of stored requests: server-sent events with the rows that any worker wrote. Knows no HTTP.

It asks the database, which all workers share, a few times a second. A row is written a moment before others can read it,
so the last seconds are asked for again each time, and what was sent is not sent twice.
"""

import time
from collections.abc import Callable, Iterator

from app.capture import dump
from app.trace_reader import StoreUnavailable, TraceReader

PAUSE = 0.4  # seconds between two questions
SILENCE = 10.0  # seconds after which a ping is sent
OVERLAP = 6.0  # seconds: longer than a write may wait for its turn (WRITE_WAIT of app.database)
RETRY = b"retry: 2000\n\n"  # milliseconds until a browser comes back


def feed(
    reader: TraceReader,
    since: float | None,
    wait: Callable[[float], bool],
    status: Callable[[], dict[str, object]],
    clock: Callable[[], float] = time.time,
) -> Iterator[bytes]:
    """Yield `event: trace` for each row written after `since` (Unix time; None: now), and `event: ping` in silences.

    `wait(seconds)` pauses and returns True when the feed is to end; `status()` is what a ping says.
    """
    begin = clock() if since is None else since
    sent: dict[str, float] = {}
    yield RETRY + _event("ping", status())
    spoke, latest = clock(), begin
    while True:
        events: list[bytes] = []
        try:
            for row in reader.changed(max(begin, latest - OVERLAP)):
                if sent.get(row["id"]) != row["updated"]:
                    sent[row["id"]] = row["updated"]
                    events.append(b"id: %b\n" % repr(row["updated"]).encode() + _event("trace", row))
                latest = max(latest, row["updated"])
        except StoreUnavailable:
            pass  # it may come back; pings go on
        sent = {identifier: updated for identifier, updated in sent.items() if updated > latest - OVERLAP}
        if not events and clock() - spoke >= SILENCE:
            events.append(_event("ping", status()))
        if events:
            spoke = clock()
            yield b"".join(events)
        if wait(PAUSE):
            return


def _event(name: str, value: object) -> bytes:
    return f"event: {name}\ndata: {dump(value)}\n\n".encode()
