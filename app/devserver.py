"""The development server: werkzeug's, threaded, one process, with the same drain as under gunicorn."""

import signal
import threading
from typing import Any

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from app.errors import ConfigError
from app.lifecycle import lifecycle
from app.loader import tell_local_models
from app.log_filter import install_logging


class QuietHandler(WSGIRequestHandler):
    """HTTP/1.1, for chunked streams, and no access log: the gateway writes its own. Werkzeug keeps no connections."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Write nothing."""


def run(app: Flask, host: str, port: int) -> None:
    """Serve `app` until SIGTERM or Ctrl-C. Raises ConfigError when the port is taken."""
    from app.banner import banner, host_port

    settings = app.extensions["settings_store"].current
    try:
        server = make_server(host, port, app, threaded=True, request_handler=QuietHandler)
    except (OSError, SystemExit) as error:
        raise ConfigError(f"Cannot listen on {host}:{port}: {error}") from None
    server.daemon_threads = True  # type: ignore[attr-defined]

    def drain() -> None:
        lifecycle.drain(settings.drain_timeout)
        server.shutdown()

    def stop(*_: object) -> None:
        if lifecycle.draining:
            raise SystemExit(1)
        threading.Thread(target=drain, name="drain", daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    install_logging(app.extensions["secret_book"].masker_for_all)
    app.extensions["loader"].begin()
    print(banner(settings, host_port(host, server.port)), flush=True)
    tell_local_models(settings)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
