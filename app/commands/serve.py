"""`python -m app serve` and `python app.py`: where to listen, and handing over to the server."""

import errno
import os
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import click

from app.banner import host_port
from app.commands.options import (
    BAD_SETTINGS,
    EXIT_CODES,
    HELP,
    export,
    load_settings,
    model_folders,
    stop,
    verbose,
    version,
)
from app.config import ROOT, Settings, check_bind, read_environ
from app.errors import ConfigError
from app.extras import EXTRAS, GEVENT, Extra

GUNICORN = ["gunicorn", "-c", "python:app.server", "app:create_app()"]
# gevent must replace locks and sockets before the first of them is made.
LAUNCH = {"gthread": ["-m"], "gevent": ["-m", "gevent.monkey", "--module"]}
AUTO = "auto"
USUAL_HOST, USUAL_PORTS = "127.0.0.1", range(11435, 11536)  # Shimmy's
BIND_VARIABLE = "SHIMMY_BIND_ADDRESS"

Command = TypeVar("Command", bound=Callable[..., Any])


def listening(command: Command) -> Command:
    """Add the options that both servers have."""
    for option in (
        verbose("Log each request in full (keys masked)."),
        version,
        click.option("--log-file", type=click.Path(dir_okay=False, resolve_path=True), help="Also log to this file."),
        model_folders,
        click.option("--port", "port", type=click.IntRange(0, 65535), help="Port to listen on. [PORT, 8000]"),
        click.option("--host", help="Address to listen on. [HOST, 127.0.0.1]"),
    ):
        command = option(command)
    return command


def extras(command: Command) -> Command:
    """Add an option for each extra: it must be there. run.sh installs it before it comes here."""
    for extra in reversed(EXTRAS):
        words = f"Have what {extra.needs}; ./run.sh --{extra.name} installs it, once."
        check = partial(_check_installed, extra)
        command = click.option(f"--{extra.name}", is_flag=True, expose_value=False, callback=check, help=words)(command)
    return command


def _check_installed(extra: Extra, context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked and not extra.installed:
        stop(extra.missing)


@click.command(context_settings=HELP, epilog=EXIT_CODES)
@click.argument("port_argument", metavar="[PORT]", type=click.IntRange(0, 65535), required=False)
@click.option("--bind", help="HOST:PORT, unix:PATH, fd://N, or `auto`: the first free port from 11435 on.")
@extras
@listening
def serve(
    port_argument: int | None, bind: str | None, host: str | None, port: int | None, log_file: str | None, verbose: bool,
) -> None:  # fmt: skip
    """Serve under gunicorn, in the foreground."""
    host, port, bind = where_to_listen(bind, host, port_argument if port is None else port)
    export(HOST=host, PORT=port, GATEWAY_LOG_FILE=log_file, GATEWAY_VERBOSE="1" if verbose else None)
    settings = load_server_settings()
    if settings.worker_class == GEVENT.name and not GEVENT.installed:
        stop(GEVENT.missing, BAD_SETTINGS)
    if bind is None:
        check_free(settings.host, settings.port)
    os.chdir(ROOT)
    sys.stdout.flush()
    bind = bind or host_port(settings.host, settings.port)
    os.execv(sys.executable, [sys.executable, *LAUNCH[settings.worker_class], *GUNICORN, "--bind", bind])


@click.command(context_settings=HELP, epilog=EXIT_CODES)
@listening
def development(host: str | None, port: int | None, log_file: str | None, verbose: bool) -> None:
    """Serve in this process with Werkzeug's server, for development. Use ./run.sh for real work."""
    export(HOST=host, PORT=port, GATEWAY_LOG_FILE=log_file, GATEWAY_VERBOSE="1" if verbose else None)
    settings = load_server_settings()
    check_free(settings.host, settings.port)
    from app import create_app, devserver  # Flask only for those who serve

    try:
        devserver.run(create_app(settings), settings.host, settings.port)
    except ConfigError as error:
        stop(str(error))


def load_server_settings() -> Settings:
    """Read the settings of a server; end the process with a sentence where they cannot be used."""
    settings = load_settings()
    try:
        check_bind(settings)
    except ConfigError as error:
        stop(str(error), BAD_SETTINGS)
    return settings


def where_to_listen(
    bind: str | None, host: str | None, port: int | None
) -> tuple[str | None, int | None, str | None]:
    """Return host, port and what gunicorn is told instead; None: as the settings say. Raises click.BadParameter."""
    if bind and bind.startswith(("unix:", "fd://")):
        return host, port, bind
    if bind == AUTO or (bind is None and host is None and port is None):
        return (*automatic_address(bind == AUTO), None)
    if bind is None:
        return host, port, None
    named_host, named_port = split_bind(bind)
    if (port is not None and port != named_port) or (host is not None and host != named_host):
        raise click.BadParameter(f"{bind} and --host or --port name different addresses", param_hint="--bind")
    return named_host, named_port, None


def automatic_address(search: bool) -> tuple[str | None, int | None]:
    """Return what SHIMMY_BIND_ADDRESS says, where HOST and PORT say nothing; with `search` the first free usual port."""
    try:
        environ = read_environ(os.environ, dotenv=True)
    except ConfigError as error:
        stop(str(error), BAD_SETTINGS)
    named = environ.get(BIND_VARIABLE, "").strip()
    if named and named != AUTO and (search or not _is_set(environ)):
        try:
            return split_bind(named)
        except click.BadParameter as error:
            stop(f"{BIND_VARIABLE}: {error.message}", BAD_SETTINGS)
    if not search and (named != AUTO or _is_set(environ)):
        return None, None
    return USUAL_HOST, next((port for port in USUAL_PORTS if why_not(USUAL_HOST, port) is None), 0)


def _is_set(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("HOST") or environ.get("PORT"))


def split_bind(bind: str) -> tuple[str, int]:
    """Split HOST:PORT, the host in brackets if it is IPv6. Raises click.BadParameter."""
    host, colon, port = bind.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter(f"{bind!r} is not HOST:PORT, unix:PATH, fd://N or auto", param_hint="--bind")
    return host.strip("[]"), int(port)


def check_free(host: str, port: int) -> None:
    """End the process with a sentence if nothing can listen at host and port."""
    error, where = why_not(host, port), host_port(host, port)
    if isinstance(error, socket.gaierror):
        stop(f"HOST={host}: no such address ({error.strerror})", BAD_SETTINGS)
    if error is not None and error.errno == errno.EADDRINUSE:
        stop(f"{where} is in use: another program, perhaps another gateway, listens there. Try ./run.sh {port + 1}")
    if error is not None:
        stop(f"Cannot listen at {where}: {error.strerror}")


def why_not(host: str, port: int) -> OSError | None:
    """Return why nothing can listen at host and port, None if something can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error
    return None
