"""What is counted, and in which cell of a record it stands; knows neither requests nor Prometheus.

Records, by their keys: `request, model, engine, stream` · `part, engine` · `repair, rule, model, mode` ·
`error, model, engine, class` · `drop, what`.
"""

from typing import NamedTuple

from app import measures
from app.measures import GAP_BOUNDS

REQUEST, PART, REPAIR, ERROR, DROP = "request", "part", "repair", "error", "drop"
OTHER, NONE = "other", "none"  # a name that the model map does not have; no name, no model

# Upper bounds of buckets, in seconds.
LONG = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
FIRST = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0)
SHORT = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Buckets(NamedTuple):
    """A histogram within a record: a cell for each bound, one for what is above the last, and the sum at `end`."""

    begin: int
    bounds: tuple[float, ...]

    @property
    def end(self) -> int:
        return self.begin + len(self.bounds) + 1


STATUSES = ("2xx", "3xx", "4xx", "5xx")
TOKENS = ("prompt", "completion", "reasoning", "cached")
RETRIES = ("unusable", "refused", "dialect", "signature", "tools")
DROPS = ("events", "traces", "spans", "jobs", "failures")
FIRST_STATUS = 2  # the hundreds of the first of STATUSES

# The cells of a request's record.
STATUS = 0
TOKEN = STATUS + len(STATUSES)
RETRY = TOKEN + len(TOKENS)
COST, CANCELLED = RETRY + len(RETRIES), RETRY + len(RETRIES) + 1
DURATION = Buckets(CANCELLED + 1, LONG)
UPSTREAM = Buckets(DURATION.end + 1, LONG)
TTFT = Buckets(UPSTREAM.end + 1, FIRST)
GAP = Buckets(TTFT.end + 1, GAP_BOUNDS)
REQUEST_CELLS = GAP.end + 1

# The cells of an engine's record: the gateway's own time by part; `queue` comes first and has no lap.
PARTS = {"queue": None, "prepare": measures.PREPARE, "engine": measures.ENGINE, "repair": measures.REPAIR,
         "format": measures.FORMAT}  # fmt: skip
PART_BUCKETS = {name: Buckets(number * (len(SHORT) + 2), SHORT) for number, name in enumerate(PARTS)}
PART_CELLS = len(PARTS) * (len(SHORT) + 2)
