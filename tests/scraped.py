"""What GET /metrics says, as numbers by name and labels. A request is counted just after its last byte: `until` asks again."""

import time
import urllib.request
from collections.abc import Callable, Mapping

from prometheus_client.parser import text_string_to_metric_families

LIMIT = 20.0  # seconds


class Scraped:
    """One scrape. `value("gateway_requests_total", model="up/m")` adds up all samples that have these labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        return sum(sample.value for sample in self.samples if sample.name == name and fits(sample.labels, labels))

    def names(self) -> set[str]:
        """Every name that a query may hold, of families without samples too."""
        found = {sample.name for sample in self.samples}
        for name, family in self.families.items():
            ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
            found |= {name + end for end in ends}
        return found

    def labels(self, label: str) -> set[str]:
        """All values of a label."""
        return {sample.labels[label] for sample in self.samples if label in sample.labels}


def fits(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())


def scrape(url: str, headers: Mapping[str, str] | None = None) -> Scraped:
    """Scrape the gateway at `url`, on a connection of its own."""
    request = urllib.request.Request(f"{url}/metrics", headers=dict(headers or {}))
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=LIMIT) as answer:
        return Scraped(answer.read().decode())


def until(url: str, true: Callable[[Scraped], bool]) -> Scraped:
    """Scrape until `true` of what is said."""
    deadline = time.monotonic() + LIMIT
    while not true(found := scrape(url)):
        assert time.monotonic() < deadline, found.text
    return found


def until_counted(url: str, requests: int) -> Scraped:
    """Scrape until so many requests are counted."""
    return until(url, lambda found: found.value("gateway_requests_total") >= requests)
