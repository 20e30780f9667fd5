"""`python -m app show`: one stored request: what was said, what became of it on its way, its chunks, its error."""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from app.commands.options import HELP, as_json, load_settings, to_json, verbose, version
from app.commands.terminal import coloured
from app.log_writer import Line, escape_controls

if TYPE_CHECKING:
    from app.capture import Capture

NARROWEST = 80


@click.command(context_settings=HELP)
@click.argument("wanted", metavar="ID")
@click.option("--diff", "with_diff", is_flag=True, help="How the request that was sent differs from the received one.")
@click.option("--chunks", "with_chunks", is_flag=True, help="What the upstream sent, what the client got, the rules between.")
@as_json
@verbose("Show long texts whole.")
@version
def show(wanted: str, with_diff: bool, with_chunks: bool, as_json: bool, verbose: bool) -> None:
    """Show a stored request: the conversation, the answer, the repairs, and what the upstream really said.

    ID is that of `tail`, of the log, or of the header x-request-id; its beginning is enough, and `last` is the newest.
    A capture file may be named instead.

    Exit codes: 0 shown; 1 there is no such request, or the database cannot be read; 2 the command was wrong.
    """
    from app.commands.sources import find

    capture = find(wanted, load_settings).capture
    if as_json:
        click.echo(to_json(as_object(capture, with_diff, with_chunks)))
        return
    for colour, text in lines_of(capture, with_diff, with_chunks, verbose):
        click.echo(coloured(escape_controls(text), colour))


def lines_of(capture: "Capture", with_diff: bool, with_chunks: bool, whole: bool) -> Iterator[Line]:
    """Yield what was asked for; without a choice the conversation."""
    from app.capture_text import chunk_lines, conversation, request_diff

    if not with_diff and not with_chunks:
        yield from conversation(capture, whole)
    if with_diff:
        yield from request_diff(capture, whole)
    if with_chunks:
        width = max(NARROWEST, shutil.get_terminal_size((160, 24)).columns)
        yield from chunk_lines(capture, width, whole)


def as_object(capture: "Capture", with_diff: bool, with_chunks: bool) -> dict[str, Any]:
    """Return the same for programs: the summary, and the parts, the changes or the chunks."""
    from app.capture_text import answer_of, chunk_cells, repair_entries
    from app.utils.json_diff import ABSENT, diff

    told: dict[str, Any] = {"summary": dict(capture.summary)}
    if not with_diff and not with_chunks:
        names = ("client_request", "resolved", "upstream_request", "error")
        told |= {name: capture.last(name) for name in names}
        told |= {"answer": answer_of(capture), "repairs": repair_entries(capture)}
    if with_diff:
        changes = diff(capture.last("client_request"), capture.last("upstream_request"))
        told["diff"] = [
            {name: value for name, value in change._asdict().items() if value is not ABSENT} for change in changes
        ]
    if with_chunks:
        told["chunks"] = [{"at": at, "station": station, "text": text} for at, station, text in chunk_cells(capture)]
    return told
