"""`python -m app generate`: one prompt, one answer on stdout, with any model of the gateway and without a server."""

import sys
from typing import Any

import click

from app.commands.options import (
    FAULTS,
    HELP,
    as_json,
    load_settings,
    masker_of,
    model_folders,
    to_json,
    verbose,
    version,
)
from app.commands.terminal import Progress, strip_controls, write
from app.config import Settings
from app.errors import GatewayError, ModelNotFound, error_body
from app.log_writer import is_terminal, one_line

LOCAL_ENGINE = "gguf"


@click.command(context_settings=HELP)
@click.argument("model", required=False)
@click.option("--prompt", required=True, help="What to ask; `-` reads it from standard input.")
@click.option("--system", help="A system message to put before it.")
@click.option("--max-tokens", type=click.IntRange(1), default=100, show_default=True, help="Longest answer.")
@click.option("--temperature", type=click.FloatRange(0, 2), default=0.7, show_default=True, help="How freely it words.")
@click.option("--stream/--no-stream", default=None, help="Print words as they come [the default, but for --json].")
@click.option("--url", help="Ask a running gateway, or another OpenAI endpoint, at this address (…/v1).")
@model_folders
@as_json
@verbose("Also tell, on stderr, what was asked, the model's thoughts, times and tokens.")
@version
def generate(
    model: str | None, prompt: str, system: str | None, max_tokens: int, temperature: float, stream: bool | None,
    url: str | None, as_json: bool, verbose: bool,
) -> None:  # fmt: skip
    """Ask MODEL, or the default model, and print its answer.

    --json prints one object, with --stream a line for each piece ({"token": …}) and one at the end ({"done": true, …}).
    Errors go to stderr, with --json also to stdout as {"error": …}.

    Exit codes: 0 answered; 1 it failed; 2 the command or the settings were wrong; 130 Ctrl-C.
    """
    prompt = sys.stdin.buffer.read().decode("utf-8", "replace").removesuffix("\n") if prompt == "-" else prompt
    if not prompt.strip():
        raise click.BadParameter("it is empty", param_hint="--prompt")
    if url and not model:
        raise click.UsageError("--url needs a MODEL: nothing else says what is there.")
    messages = [{"role": "user", "content": prompt}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    streams = not as_json if stream is None else stream
    body: dict[str, Any] = {"messages": messages, "max_tokens": max_tokens, "temperature": temperature}
    body |= {"stream": True, "stream_options": {"include_usage": True}} if streams else {}
    settings = load_settings()
    printer = Printer(as_json, streams, verbose, settings)
    from app.commands.asking import Interrupted

    try:
        run(model, url, body, settings, printer)
    except Interrupted as error:
        printer.interrupted()
        sys.exit(error.exit_code)
    except GatewayError as error:
        printer.failed(error)
        sys.exit(FAULTS)


def run(model: str | None, url: str | None, body: dict[str, Any], settings: Settings, printer: "Printer") -> None:
    """Find the model, load it where it is a local one, ask it. Raises errors of the gateway's tree."""
    from app.commands import asking
    from app.commands.loading import load
    from app.local_models.targets import find_default, find_target

    name = model or find_default(settings)
    if not name:
        raise ModelNotFound("There is no model at all: neither in opencode.json nor on this machine.")
    target = asking.target_at(url, name, settings) if url else find_target(name, settings)
    printer.begin(name, target)
    with asking.cancelled_by_signals() as cancel:
        if target.engine_name == LOCAL_ENGINE:
            progress = Progress(f"Loading {target.model}")
            try:
                load(target, cancel, progress.show)
            finally:
                progress.end()
        turn = asking.new_turn({"model": name, **body}, target, settings, cancel)
        answer = printer.answer
        for piece in asking.ask(turn, answer):
            printer.piece(piece)
    printer.end(turn.report.header())


class Printer:
    """Prints an answer: as text, as one JSON object, or as lines of JSON."""

    def __init__(self, as_json: bool, streams: bool, verbose: bool, settings: Settings) -> None:
        from app.commands.asking import Answer

        self.answer = Answer()
        self._json, self._lines, self._verbose = as_json, as_json and streams, verbose
        self._facts: dict[str, Any] = {}
        self._mask = masker_of(settings).mask_text
        self._last = ""

    def begin(self, name: str, target: Any) -> None:
        """Take note of what is asked."""
        self._facts = {"model": name, "upstream": f"{target.provider_id}/{target.model}", "engine": target.engine_name}
        if self._verbose:
            self._note(f"{name} -> {self._facts['upstream']} (engine {target.engine_name}, key: {target.key_source})")

    def piece(self, text: str) -> None:
        """Print a piece of the answer."""
        if self._lines:
            write(to_json({"token": text}, None) + "\n")
        elif not self._json:
            write(text)
        self._last = text

    def end(self, repairs: str) -> None:
        """Print what stands at the end of an answer."""
        answer = self.answer
        told = {
            "finish_reason": answer.finish_reason,
            "usage": answer.usage,
            "first_token_seconds": answer.first and round(answer.first, 3),
            "seconds": round(answer.seconds, 3),
        }
        if self._lines:
            write(to_json({"done": True, **self._facts, **told}, None) + "\n")
        elif self._json:
            thoughts = {"reasoning": "".join(answer.reasoning)} if answer.reasoning else {}
            write(to_json({**self._facts, "text": "".join(answer.text), **thoughts, **told}) + "\n")
        else:
            self._end_line()
        if answer.finish_reason == "length" and not self._json and (self._verbose or is_terminal(sys.stderr)):
            self._note("The answer was cut at --max-tokens.")
        if self._verbose:
            self._tell(repairs)

    def failed(self, error: GatewayError) -> None:
        """Print why there is no answer, or not all of it."""
        if self._json:
            facts = {"model": self._facts["model"]} if self._facts else {}
            write(to_json({**facts, **error_body(error, self._mask)}, None if self._lines else 2) + "\n")
        else:
            self._end_line()
        click.echo(f"Error: {one_line(self._mask(str(error)), 1000)}", err=True)

    def interrupted(self) -> None:
        """Print that the user ended it."""
        self._end_line()
        self._note("Cancelled.")

    def _end_line(self) -> None:
        if not self._json and self._last and not self._last.endswith("\n"):
            write("\n")

    def _tell(self, repairs: str) -> None:
        answer = self.answer
        if answer.reasoning:
            self._note("thoughts: " + strip_controls("".join(answer.reasoning)))
        usage = answer.usage or {}
        counts = f"{usage.get('prompt_tokens', '?')} + {usage.get('completion_tokens', '?')} tokens"
        first = f", the first after {answer.first:.2f} s" if answer.first is not None else ""
        speed = f", {answer.speed:.1f} tokens/s" if answer.speed else ""
        self._note(f"{counts} in {answer.seconds:.2f} s{first}{speed}; finish reason {answer.finish_reason}")
        if repairs:
            self._note(f"repairs: {repairs}")

    def _note(self, text: str) -> None:
        click.echo(text, err=True)
