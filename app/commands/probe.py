"""`python -m app probe`: does a model answer? An upstream is asked how it differs from OpenAI, a local one is loaded."""

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from app.commands.options import (
    BAD_SETTINGS,
    HELP,
    as_json,
    load_settings,
    masker_of,
    model_folders,
    stop,
    to_json,
    verbose,
    version,
)
from app.commands.terminal import Progress
from app.config import Settings
from app.errors import GatewayError, ModelNotFound
from app.local_models.errors import LocalModelsMissing, ModelLoadFailed
from app.local_models.rows import size_text
from app.log_writer import one_line

if TYPE_CHECKING:
    from app.commands.asking import Answer
    from app.local_models.keeper_client import Status
    from app.utils.model_resolver import Target

CANNOT_LOAD = 2
TOKENS = 16
QUESTION = "Say hello."


@click.command(context_settings=HELP)
@click.argument("model", required=False)
@click.option("--url", help="Ask at this address (…/v1) instead of the provider's.")
@model_folders
@as_json
@verbose("Also tell where the model leads.")
@version
def probe(model: str | None, url: str | None, as_json: bool, verbose: bool) -> None:
    """Try MODEL, or the first model on this machine.

    A model on this machine is loaded and says a few words: "ok: loaded NAME …". Exit codes: 0 it does; 2 it cannot be
    loaded, and why; 130 Ctrl-C.

    An upstream is asked a few small things: what does it do differently from OpenAI, and which repairs will it need?
    That takes at most 30 calls with short answers, straight to the upstream. Exit codes: 0 asked; 1 it cannot be asked
    (not reachable, wrong key, unknown model); 2 the command or the settings were wrong.
    """
    from app.local_models.targets import ENGINE, find_target, local_models
    from app.probe_report import refuse, run

    if url and not model:
        raise click.UsageError("--url needs a MODEL: nothing else says what is there.")
    settings = load_settings()
    model = model or next((info.id for info in local_models(settings)), None)
    if model is None:
        stop("Name a MODEL: there is none on this machine.", BAD_SETTINGS)
    try:
        target = None if url else find_target(model, settings)
    except ModelLoadFailed as error:
        sys.exit(cannot_load(model, error, as_json, settings))
    except ModelNotFound as error:
        sys.exit(refuse(model, error, as_json, settings, click.echo))
    except GatewayError:
        target = None  # the other probe says it better
    if target is not None and verbose:
        where = one_line(f"{target.provider_id}/{target.model}")
        click.echo(f"{one_line(model)} -> {where} (engine {target.engine_name}, key: {target.key_source})", err=True)
    if target is not None and target.engine_name == ENGINE:
        sys.exit(probe_local(target, as_json, settings))
    sys.exit(run(model, url, as_json, settings, click.echo))


def probe_local(target: "Target", as_json: bool, settings: Settings) -> int:
    """Load a model, have it say something, print how that went; return the exit code."""
    from app.commands import asking, loading

    answer, progress = asking.Answer(), Progress(f"Loading {target.model}")
    began = time.monotonic()
    try:
        with asking.cancelled_by_signals() as cancel:
            try:
                loading.load(target, cancel, progress.show)
            finally:
                progress.end()
            loaded = time.monotonic() - began
            for _ in asking.ask(asking.new_turn(question(target), target, settings, cancel), answer):
                pass
            status = loading.keeper_of(target.options["local"]).status(target.model)
    except asking.Interrupted as error:
        click.echo("Cancelled.", err=True)
        return error.exit_code
    except GatewayError as error:
        return cannot_load(target.requested, error, as_json, settings)
    told = facts(target, answer, status, loaded)
    click.echo(to_json(told) if as_json else in_words(told, status))
    return 0


def question(target: "Target") -> dict[str, Any]:
    """Return the request of a probe."""
    messages = [{"role": "user", "content": QUESTION}]
    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    return {"model": target.requested, "messages": messages, "max_tokens": TOKENS, "temperature": 0, **streamed}


def facts(target: "Target", answer: "Answer", status: "Status", loaded: float) -> dict[str, Any]:
    """Return what a probe of a local model found; times are in seconds."""
    return {
        "model": target.requested,
        "ok": True,
        "error": None,
        "name": target.model,
        "path": target.options["local"]["path"],
        "context": target.limit.get("context"),
        "tools": "emulated" if target.options.get("toolEmulation") else "native",
        "load_seconds": round(loaded, 3),
        "first_token_seconds": answer.first and round(answer.first, 3),
        "tokens_per_second": answer.speed and round(answer.speed, 1),
        "memory_bytes": status.memory_bytes,
        "text": "".join(answer.text),
    }


def in_words(told: dict[str, Any], status: "Status") -> str:
    """Put the facts into one line."""
    parts = [f"{told['load_seconds']:.2f} s"]
    if told["memory_bytes"]:
        parts.append(size_text(told["memory_bytes"]))
    if told["first_token_seconds"] is not None:
        parts.append(f"first token after {told['first_token_seconds']:.2f} s")
    if told["tokens_per_second"]:
        parts.append(f"{told['tokens_per_second']} tokens/s")
    parts += [f"context {told['context']} tokens", f"tools {told['tools']}"]
    return f"ok: loaded {one_line(told['name'])} ({', '.join(parts)})"


def cannot_load(name: str, error: GatewayError, as_json: bool, settings: Settings) -> int:
    """Print why a local model cannot be used; return the exit code."""
    words = one_line(masker_of(settings).mask_text(str(error)), 1000)
    kind = "missing" if isinstance(error, LocalModelsMissing) else "load" if isinstance(error, ModelLoadFailed) else "answer"
    if as_json:
        click.echo(to_json({"model": name, "ok": False, "error": {"kind": kind, "message": words}}))
    else:
        click.echo(f"Error: {words}", err=True)
    return CANNOT_LOAD
