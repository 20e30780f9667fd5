"""The command line: turns options into settings and hands over; knows nothing of requests."""

import errno
import json
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from app.banner import NAME, host_port
from app.config import ROOT, Settings, check_bind
from app.errors import ConfigError
from app.version import VERSION

HELP = {"help_option_names": ["-h", "--help"]}
GUNICORN = ["gunicorn", "-c", "python:app.server", "app:create_app()"]
# gevent must replace locks and sockets before the first of them is made.
LAUNCH = {"gthread": ["-m"], "gevent": ["-m", "gevent.monkey", "--module"]}
FAULTS, BAD_SETTINGS = 1, 2  # exit codes: what was asked for cannot work / cannot even be tried

Command = TypeVar("Command", bound=Callable[..., Any])
version = click.version_option(VERSION, "--version", "-V", message=f"{NAME} {VERSION}")
verbose = click.option("--verbose", "-v", is_flag=True, help="Log each request in full (keys masked).")


def listening(command: Command) -> Command:
    """Add the options that both servers have."""
    for option in (
        verbose,
        version,
        click.option("--log-file", type=click.Path(dir_okay=False, resolve_path=True), help="Also log to this file."),
        click.option("--port", "port", type=click.IntRange(0, 65535), help="Port to listen on. [PORT, 8000]"),
        click.option("--host", help="Address to listen on. [HOST, 127.0.0.1]"),
    ):
        command = option(command)
    return command


@click.group(context_settings=HELP)
@version
def main() -> None:
    """OpenCode Gateway: an OpenAI-compatible gateway for coding agents."""


@main.command(context_settings=HELP)
@click.argument("port_argument", metavar="[PORT]", type=click.IntRange(0, 65535), required=False)
@click.option("--bind", help="HOST:PORT, unix:PATH or fd://N instead of host and port.")
@listening
def serve(
    port_argument: int | None, bind: str | None, host: str | None, port: int | None, log_file: str | None, verbose: bool
) -> None:
    """Serve under gunicorn, in the foreground."""
    if bind and not bind.startswith(("unix:", "fd://")):
        host, port = split_bind(bind)
        bind = None
    port = port_argument if port is None else port
    export(HOST=host, PORT=port, GATEWAY_LOG_FILE=log_file, GATEWAY_VERBOSE="1" if verbose else None)
    settings = load_settings()
    if bind is None:
        check_free(settings.host, settings.port)
    os.chdir(ROOT)
    sys.stdout.flush()
    bind = bind or host_port(settings.host, settings.port)
    os.execv(sys.executable, [sys.executable, *LAUNCH[settings.worker_class], *GUNICORN, "--bind", bind])


@click.command(context_settings=HELP)
@listening
def development(host: str | None, port: int | None, log_file: str | None, verbose: bool) -> None:
    """Serve in this process with Werkzeug's server, for development. Use ./run.sh for real work."""
    export(HOST=host, PORT=port, GATEWAY_LOG_FILE=log_file, GATEWAY_VERBOSE="1" if verbose else None)
    settings = load_settings()
    check_free(settings.host, settings.port)
    from app import create_app, devserver  # Flask only for those who serve

    try:
        devserver.run(create_app(settings), settings.host, settings.port)
    except ConfigError as error:
        stop(str(error))


@main.command(context_settings=HELP)
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a JSON list.")
@click.option("--verbose", "-v", is_flag=True, help="Also list what each model name leads to.")
def check(path: Path | None, as_json: bool, verbose: bool) -> None:
    """Check opencode.json (or the one at PATH) and the settings.

    Exit code 0: nothing worse than warnings. 1: something in it cannot work. 2: the command was wrong.
    """
    from app.check import ERROR
    from app.check import check as find

    findings = find(path.resolve() if path else None)
    faults = [finding for finding in findings if finding.level == ERROR]
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    else:
        for finding in findings:
            click.echo(f"{finding.level}: {finding.path}: {finding.message}")
        if verbose and not faults:
            list_targets(path)
        click.echo(f"{len(faults)} errors, {len(findings) - len(faults)} warnings")
    sys.exit(FAULTS if faults else 0)


@main.command("probe", context_settings=HELP)
@click.argument("model")
@click.option("--url", help="Ask at this address (…/v1) instead of the provider's.")
@click.option("--json", "as_json", is_flag=True, help="Print what was learned as JSON.")
def probe_model(model: str, url: str | None, as_json: bool) -> None:
    """Ask an upstream a few small things: what does it do differently from OpenAI, and which repairs will it need?

    Makes at most 30 calls with short answers, straight to the upstream. Exit code 0: asked. 1: it cannot be asked
    (not reachable, wrong key, unknown model). 2: the command or the settings were wrong.
    """
    from app.probe_report import run

    try:
        settings = Settings.load()
    except ConfigError as error:
        stop(str(error), BAD_SETTINGS)
    sys.exit(run(model, url, as_json, settings, click.echo))


def list_targets(path: Path | None) -> None:
    """Print one line for each model name: where it leads, by which engine, with which key."""
    from app.utils.model_resolver import list_models, resolve_model

    settings = Settings.load({**os.environ, "OPENCODE_CONFIG": str(path.resolve())} if path else os.environ)
    for model in list_models(settings):
        target = resolve_model(model.id, settings)
        where = f"{target.provider_id}/{target.model}"
        click.echo(f"{model.id} -> {where} (engine {target.engine_name}, key: {target.key_source})")


def export(**variables: object) -> None:
    """Hand options on as environment variables: gunicorn and its workers read their settings there."""
    os.environ.update({name: str(value) for name, value in variables.items() if value is not None})


def load_settings() -> Settings:
    """Read the settings; end the process with a sentence where they cannot be used."""
    try:
        settings = Settings.load()
        check_bind(settings)
    except ConfigError as error:
        stop(str(error), BAD_SETTINGS)
    return settings


def split_bind(bind: str) -> tuple[str, int]:
    """Split HOST:PORT, the host in brackets if it is IPv6. Raises click.BadParameter."""
    host, colon, port = bind.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter(f"{bind!r} is not HOST:PORT, unix:PATH or fd://N", param_hint="--bind")
    return host.strip("[]"), int(port)


def check_free(host: str, port: int) -> None:
    """End the process with a sentence if nothing can listen at host and port."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except socket.gaierror as error:
        stop(f"HOST={host}: no such address ({error.strerror})", BAD_SETTINGS)
    except OSError as error:
        where = host_port(host, port)
        if error.errno == errno.EADDRINUSE:
            stop(f"{where} is in use: another program, perhaps another gateway, listens there. Try ./run.sh {port + 1}")
        stop(f"Cannot listen at {where}: {error.strerror}")


def stop(message: str, code: int = FAULTS) -> NoReturn:
    """Print one sentence on stderr and end the process."""
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)
