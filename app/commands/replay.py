"""`python -m app replay`: a capture once more: to a client, through today's formatter, or to another model."""

import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.commands.options import BAD_SETTINGS, FAULTS, HELP, as_json, load_settings, stop, to_json, verbose, version
from app.commands.terminal import coloured
from app.log_writer import escape_controls, is_terminal, one_line

if TYPE_CHECKING:
    from types import FrameType

    from app.config import Settings
    from app.recording import Recording

CLIENT, FORMATTER, UPSTREAM = "client", "formatter", "upstream"
SIGNS = {"-": "bad", "+": "good", "@": "key"}


@click.command(context_settings=HELP)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--to", "destination", type=click.Choice([CLIENT, FORMATTER, UPSTREAM]), required=True, help="Where it goes.")
@click.option("--speed", type=click.FloatRange(0, 1000), default=1, show_default=True, help="client: 1 as it was, 0 at once.")
@click.option("--port", type=click.IntRange(0, 65535), help="client: serve it on this port (0: any free one) until Ctrl-C.")
@click.option("--model", help="upstream: ask this model of the gateway. [the same as then]")
@as_json
@verbose("formatter: also tell the repairs of then and now.")
@version
def replay(
    file: Path, destination: str, speed: float, port: int | None, model: str | None, as_json: bool, verbose: bool
) -> None:
    """Replay FILE, a capture (`python -m app export ID -o FILE`).

    --to client prints what the client got, the same bytes at the same pace; with --port it is served to any client that
    posts there. --to formatter takes what the upstream said through today's repairs, and compares the outcome with what
    the client got then. --to upstream sends the client's request to a model, and prints both answers.

    Exit codes: 0 replayed, and the same; 1 there is a difference, or it failed; 2 the file or the settings were wrong;
    130 Ctrl-C (a server that it ends: 0).
    """
    from app.commands.sources import read_file

    recording = read_file(file)
    if destination == CLIENT:
        to_client(recording, speed, port)
    elif destination == FORMATTER:
        to_formatter(recording, as_json, verbose, load_settings())
    else:
        to_upstream(recording, model, as_json, load_settings())


# --- to a client ------------------------------------------------------------------------------------------------------


def to_client(recording: "Recording", speed: float, port: int | None) -> None:
    """Print the answer at its pace, or serve it."""
    from app.capture_text import missing_lines
    from app.replay_server import paced

    if not recording.writes:
        stop("The capture does not hold what the client got.", FAULTS)
    for _, text in missing_lines(recording.capture):
        click.echo(text, err=True)
    if port is not None:
        serve(recording, speed, port)
        return
    terminal = is_terminal(sys.stdout)
    for data in paced(recording, speed):
        if terminal:
            sys.stdout.write(escape_controls(data.decode("utf-8", "replace")))
        else:
            sys.stdout.buffer.write(data)
        sys.stdout.flush()


def serve(recording: "Recording", speed: float, port: int) -> None:
    """Serve the answer on 127.0.0.1 until a signal comes."""
    from app.replay_server import ReplayServer

    try:
        server = ReplayServer(recording, port, speed)
    except OSError as error:
        stop(f"Cannot listen at port {port}: {error.strerror}")
    with server, ended_by_signals():
        click.echo(f"{recording.id} is served at {server.url}/v1/chat/completions (Ctrl-C ends it)")
        try:
            server.serve_forever(0.2)
        except KeyboardInterrupt:
            server.stopping.set()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C."""

    def interrupt(number: int, frame: "FrameType | None") -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- to the formatter -------------------------------------------------------------------------------------------------


def to_formatter(recording: "Recording", as_json: bool, verbose: bool, settings: "Settings") -> None:
    """Compare today's answer with that of then; end with 1 where they differ."""
    from app.replay import NotReplayable, compare_outcomes

    try:
        then, now, found = compare_outcomes(recording, settings)
    except NotReplayable as error:
        stop(f"{recording.id} cannot be replayed: {error}.", BAD_SETTINGS)
    if as_json:
        repairs = {"then": then.repairs, "now": now.repairs}
        click.echo(to_json({"id": recording.id, "same": not found, "difference": found or None, "repairs": repairs}))
    elif found:
        for line in found.split("\n"):
            click.echo(coloured(escape_controls(line), SIGNS.get(line[:1], "")))
    else:
        click.echo(f"{one_line(recording.id)}: the same as then")
    if verbose and not as_json:
        click.echo(f"repairs then: {one_line(then.repairs or '-', 2_000)}\nrepairs now:  {one_line(now.repairs or '-', 2_000)}")
    sys.exit(FAULTS if found else 0)


# --- to an upstream ---------------------------------------------------------------------------------------------------


def to_upstream(recording: "Recording", model: str | None, as_json: bool, settings: "Settings") -> None:
    """Ask a model what the client asked then, and print both answers; end with 1 where it does not answer."""
    from app.commands.asking import Interrupted
    from app.commands.comparing import ask_again, side_by_side, told_then

    if recording.chat is None:
        stop(f"{recording.id} does not hold a request that can be sent.", BAD_SETTINGS)
    name = model or str(recording.request.get("model") or "")
    try:
        now = ask_again(recording.chat, name, settings)
    except Interrupted as error:
        click.echo("Cancelled.", err=True)
        sys.exit(error.exit_code)
    then = told_then(recording)
    if as_json:
        click.echo(to_json({"then": then, "now": now}))
    else:
        for line in side_by_side(then, now, shutil.get_terminal_size((120, 24)).columns):
            click.echo(line)
    sys.exit(FAULTS if now["error"] else 0)
