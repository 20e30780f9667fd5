"""`python -m app export`: stored requests as capture files, alone or a whole session, or as a test of this gateway."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.commands.options import (
    BAD_SETTINGS,
    FAULTS,
    HELP,
    as_json,
    harmless,
    load_settings,
    stop,
    to_json,
    verbose,
    version,
)
from app.log_writer import escape_controls, is_terminal, one_line

if TYPE_CHECKING:
    from app.config import Settings
    from app.recording import Recording
    from app.trace_reader import TraceReader
    from app.trace_rows import Row

PAGE = 500
SHOWN = 3  # files that are named
PACKED = ".jsonl.gz"
NOT_PLAIN = re.compile(r"[^\w ./:@-]")  # what could end a docstring, or begin a line
# Settings on which an answer depends; what else is set does not matter to a test.
OF_ANSWERS = (
    "GATEWAY_REPAIRS", "GATEWAY_HOLD_TOOL_CALLS", "GATEWAY_ON_TRUNCATED", "GATEWAY_TOOL_CHOICE", "MAX_TOKENS", "TEMPERATURE",
)  # fmt: skip
TEST = '''"""What {model} said in {id} comes to its client as it did. Written by `python -m app export --pytest`."""

from pathlib import Path

from app.replay import difference_of_file

CAPTURE = Path(__file__).with_name({capture!r})
SETTINGS: dict[str, str] = {settings}


def test_{name}_is_what_it_was():
    found = difference_of_file(CAPTURE, SETTINGS)
    assert not found, "\\n" + found
'''


@click.command(context_settings=HELP)
@click.argument("wanted", metavar="[ID]...", nargs=-1)
@click.option("--session", help="All requests of this session of a client.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="File, packed if it ends in .gz; a folder for several.")
@click.option("--pytest", "as_test", is_flag=True, help="Write a test file, and the capture beside it.")
@as_json
@verbose("Also name each file that is written.")
@version
def export(
    wanted: tuple[str, ...], session: str | None, output: Path | None, as_test: bool, as_json: bool, verbose: bool
) -> None:
    """Export stored requests as capture files: all that was kept, to the chunk and its time, keys masked.

    One goes to FILE, else to standard output; several, or a --session, go into a folder, which can be served as a model
    (engine `replay` in opencode.json). With --pytest the file is a test: what the upstream said must come out as it did.

    ID is as in `show`. --json prints which files were written.

    Exit codes: 0 written; 1 there is no such request, or it cannot be a test; 2 the command was wrong.
    """
    if not wanted and not session:
        raise click.UsageError("Name a request, or a --session.")
    if as_test and (session or len(wanted) != 1):
        raise click.UsageError("--pytest takes one request.")
    if (session or len(wanted) > 1) and output is None:
        raise click.UsageError("Several requests need a folder: -o FOLDER.")
    settings = load_settings()
    written: list[Path] = []
    faults = ""
    try:
        if as_test:
            written, faults = write_test(wanted[0], output, settings)
        elif output is not None and (session or len(wanted) > 1):
            written = write_folder(wanted, session, output, settings)
        else:
            written = write_one(wanted[0], output, settings)
    except BrokenPipeError:
        raise  # whoever reads has enough
    except OSError as error:
        stop(f"It cannot be written: {error}")
    tell(written, faults, as_json, verbose)
    sys.exit(FAULTS if faults else 0)


def tell(written: list[Path], faults: str, as_json: bool, verbose: bool) -> None:
    """Say what was written, and whether a test fails already."""
    if as_json and written:
        click.echo(to_json({"written": list(map(str, written)), "difference": faults or None}))
        return
    if written:
        names = one_line(", ".join(map(str, written if verbose else written[:SHOWN])), 100_000)
        more = f" and {len(written) - SHOWN} more" if len(written) > SHOWN and not verbose else ""
        number = "1 file is" if len(written) == 1 else f"{len(written)} files are"
        click.echo(f"{number} written: {names}{more}", err=True)
    if faults:
        click.echo("Today's gateway answers differently, so the test fails:\n" + escape_controls(faults), err=True)


def write_one(wanted: str, output: Path | None, settings: "Settings") -> list[Path]:
    """Write one capture; without a file to standard output."""
    from app.capture import save_capture
    from app.commands.sources import find

    recording = find(wanted, lambda: settings)
    warn_of_missing(recording)
    if output is not None:
        save_capture(output, lines_of(recording))
        return [output]
    safe = harmless if is_terminal(sys.stdout) else str  # elsewhere it is the file, to the byte
    for line in lines_of(recording):
        sys.stdout.buffer.write(safe(line).encode())
    sys.stdout.flush()
    return []


def write_folder(wanted: Iterable[str], session: str | None, folder: Path, settings: "Settings") -> list[Path]:
    """Write each request to a file of its own; their names are in the order of time."""
    from app.capture import save_capture
    from app.commands.stored import find_row, load, open_stored
    from app.recording import Recording

    reader = open_stored(settings)
    rows = [find_row(reader, each) for each in wanted] + (rows_of_session(reader, session) if session else [])
    rows = sorted({row["id"]: row for row in rows}.values(), key=lambda row: (row["started"], row["id"]))
    if not rows:
        stop(f"There is no stored request of session {session}.")
    folder.mkdir(parents=True, exist_ok=True)
    there = {path.name.partition("-")[2]: path for path in folder.glob(f"*{PACKED}")}  # of an earlier export
    written = []
    for number, row in enumerate(rows, 1):
        name = f"{row['id']}{PACKED}"
        written.append(there.get(name) or folder / f"{number:04}-{name}")
        recording = Recording(load(reader, row))
        warn_of_missing(recording)
        save_capture(written[-1], lines_of(recording))
    return written


def rows_of_session(reader: "TraceReader", session: str) -> "list[Row]":
    """Return all stored requests of a session."""
    from app.trace_reader import StoreUnavailable

    rows: list[Row] = []
    before: str | None = None
    try:
        while True:
            page, before = reader.page(PAGE, before, session=session)
            rows += page
            if before is None:
                return rows
    except StoreUnavailable as error:
        stop(str(error))


def write_test(wanted: str, output: Path | None, settings: "Settings") -> tuple[list[Path], str]:
    """Write a test and its capture; also return the difference that it finds already, "" where it passes."""
    from app.capture import save_capture
    from app.commands.sources import find
    from app.replay import NotReplayable, difference

    recording = find(wanted, lambda: settings)
    name = re.sub(r"[^a-z0-9]", "_", recording.id.lower().removeprefix("req_")[:8])
    path = output or Path(f"test_{name}.py")
    if path.suffix != ".py":
        stop(f"{path} must end in .py: the capture is put beside it.", BAD_SETTINGS)
    try:
        found = difference(recording, settings)
    except NotReplayable as error:
        stop(f"{recording.id} cannot be a test: {error}.")
    capture = path.with_suffix(".jsonl")
    given = {name: settings.environ[name] for name in OF_ANSWERS if name in settings.environ}
    model = NOT_PLAIN.sub("", str(recording.target.get("model") or "a model"))
    words = {"model": model, "id": NOT_PLAIN.sub("", recording.id), "name": name, "capture": capture.name}
    path.write_text(TEST.format(settings=repr(given), **words), "utf-8")
    save_capture(capture, lines_of(recording))
    return [path, capture], found


def warn_of_missing(recording: "Recording") -> None:
    """Say that a capture is not whole."""
    from app.capture_text import missing_lines

    for _, text in missing_lines(recording.capture):
        click.echo(f"{one_line(recording.id)}: {text}", err=True)


def lines_of(recording: "Recording") -> Iterable[str]:
    """Return a recording as the lines of a capture file."""
    from app.capture import write_capture

    return write_capture(recording.capture.summary, recording.capture.events)
