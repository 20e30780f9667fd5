"""`python -m app tail`: the requests of a gateway as they come, one line each, read from its database."""

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from app.commands.options import HELP, as_json, load_settings, stop, to_json, verbose, version
from app.commands.terminal import coloured
from app.log_writer import escape_controls, one_line

if TYPE_CHECKING:
    from app.trace_reader import TraceReader
    from app.trace_rows import Row

PAUSE = 0.25  # seconds between two looks
OVERLAP = 3.0  # seconds: another process may write a row a bit later than its date says
LONGEST_ERROR = 300
INTERRUPTED = 130


@click.command(context_settings=HELP)
@click.option("--model", help="Only this model, as it was asked for or as the upstream knows it.")
@click.option("--session", help="Only this session of a client.")
@click.option("--repairs", is_flag=True, help="Only requests that were repaired, with the rules.")
@click.option("--errors", is_flag=True, help="Only requests that failed.")
@click.option("--lines", "-n", type=click.IntRange(0, 1000), default=10, show_default=True, help="Older ones to begin with.")
@click.option("--follow/--no-follow", default=True, help="Wait for more [the default], or end after the older ones.")
@as_json
@verbose("Also tell what was asked.")
@version
def tail(
    model: str | None, session: str | None, repairs: bool, errors: bool, lines: int, follow: bool, as_json: bool,
    verbose: bool,
) -> None:  # fmt: skip
    """Show requests as they end.

    The database in the data folder is read, so this works beside a running gateway with any number of workers, and
    without one. --json prints one object a line.

    Exit codes: 0 done; 1 the database cannot be read; 2 the command or the settings were wrong; 130 Ctrl-C.
    """
    from app.commands.stored import open_stored
    from app.trace_reader import StoreUnavailable

    wanted = Wanted(model, session, repairs, errors)
    reader = open_stored(load_settings())
    try:
        for row in requests(reader, wanted, lines, follow):
            for text in [to_json(row, None)] if as_json else as_lines(row, repairs, verbose):
                click.echo(text)
            sys.stdout.flush()
    except StoreUnavailable as error:
        stop(str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


class Wanted:
    """Which requests are shown."""

    def __init__(self, model: str | None, session: str | None, repairs: bool, errors: bool) -> None:
        self._model, self._session, self._repairs, self._errors = model, session, repairs, errors

    def filters(self) -> dict[str, str]:
        """Return the filters of a page of stored requests."""
        given = {"model": self._model, "session": self._session, "repaired": "1" if self._repairs else None}
        given["status"] = "error" if self._errors else None
        return {name: value for name, value in given.items() if value}

    def fits(self, row: "Row") -> bool:
        """Tell whether a row passes the same filters, and whether its request is over."""
        return (
            row["duration"] is not None
            and (not self._model or self._model in (row["model"], row["target"]))
            and (not self._session or self._session == row["session"])
            and (not self._repairs or bool(row["repairs"]))
            and (not self._errors or bool(row["error"]) or (row["status"] or 0) >= 400)
        )


def requests(reader: "TraceReader", wanted: Wanted, lines: int, follow: bool) -> Iterator["Row"]:
    """Yield the last requests, then each one as it ends. Raises StoreUnavailable; who follows waits for the database."""
    from app.trace_reader import StoreUnavailable

    feed, problem = Feed(reader), ""
    try:
        feed.begin()
        rows = reader.page(lines, **wanted.filters())[0] if lines else []
    except StoreUnavailable as error:
        if not follow:
            raise
        rows, problem = [], tell_once(error, "")
    for row in filter(wanted.fits, reversed(rows)):
        feed.skip(row)
        yield row
    while follow:
        try:
            rows, problem = feed.news(), ""
        except StoreUnavailable as error:
            rows, problem = [], tell_once(error, problem)
        yield from filter(wanted.fits, rows)
        time.sleep(PAUSE)


def tell_once(error: Exception, told: str) -> str:
    """Say what is waited for, if it is not what was told already; return that."""
    if str(error) != told:
        click.echo(f"{one_line(error, LONGEST_ERROR)}. It is waited for.", err=True)
    return str(error)


class Feed:
    """The requests that ended since `begin`, each once. The dates are those of the gateways' clocks."""

    def __init__(self, reader: "TraceReader") -> None:
        self._reader, self._since = reader, 0.0
        self._seen: dict[str, float] = {}

    def begin(self) -> None:
        """Pass over what is there. Raises StoreUnavailable."""
        newest = self._reader.page(1)[0]
        self._since = newest[0]["updated"] if newest else 0.0
        for row in self._reader.changed(self._since - OVERLAP) if newest else ():
            self.skip(row)

    def skip(self, row: "Row") -> None:
        """Pass over one request; one that still runs will be shown when it ends."""
        self._since = max(self._since, row["updated"])
        if row["duration"] is not None:
            self._seen[row["id"]] = row["updated"]

    def news(self) -> list["Row"]:
        """Return the requests that ended since the last look. Raises StoreUnavailable."""
        rows = self._reader.changed(self._since - OVERLAP)
        fresh = [row for row in rows if row["id"] not in self._seen]
        for row in rows:
            self.skip(row)
        self._seen = {name: at for name, at in self._seen.items() if at >= self._since - 2 * OVERLAP}
        return fresh


def as_lines(row: "Row", with_rules: bool, with_words: bool) -> Iterator[str]:
    """Yield a request as a line, what was asked, and what was repaired in it, one rule a line."""
    from app.verbose_log import format_line

    rules = str(row["repairs"] or "")
    summary: dict[str, Any] = {**row, "repairs": None} if with_rules else row
    failed = bool(row["error"]) or (row["status"] or 0) >= 400
    yield coloured(escape_controls(format_line(summary)), "bad" if failed else "key" if rules else "")
    if with_words and row["asked"]:
        yield f"    {one_line(row['asked'], LONGEST_ERROR)}"
    for rule in filter(None, rules.split(",") if with_rules else ()):
        yield coloured(f"    {one_line(rule)}", "good")
