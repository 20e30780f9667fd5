"""Gunicorn's settings, and workers that drain: after SIGTERM they finish their answers and refuse new requests with 503.

Used as `gunicorn -c python:app.server "app:create_app()"`; the values come from the gateway's own settings.
"""

import faulthandler
import math
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Response
from gunicorn import util
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker

from app.banner import banner, host_port
from app.config import Settings
from app.errors import InvalidRequest, answer_error, error_body
from app.lifecycle import lifecycle
from app.loader import tell_local_models
from app.log_filter import install_logging
from app.measures import wait_over
from app.shared_cells import Board
from app.utils.json_text import dump

settings = Settings.load()
board = Board(2 * settings.workers + 14)  # workers that a reload starts before it ends the old ones, and signals more

bind = host_port(settings.host, settings.port)
workers = settings.workers
threads = settings.threads
worker_class = {"gthread": "app.server.DrainingThreadWorker", "gevent": "app.gevent_worker.DrainingGeventWorker"}[
    settings.worker_class
]
worker_connections = 4096
backlog = 2048
timeout = 0 if settings.worker_class == "gthread" else 120
graceful_timeout = math.ceil(settings.drain_timeout) + 5
keepalive = 75  # longer than common proxies keep their side, so that the proxy is the one that closes
control_socket_disable = True  # else two gateways of one user share a socket in the home folder
limit_request_line = 8190
limit_request_field_size = 65_536
loglevel = "warning"
proc_name = "opencode-gateway"
reuse_port = False

HELD = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class DrainingThreadWorker(ThreadWorker):
    """gunicorn's gthread worker, with a drain before its own end; it tells how long a request waits for a thread."""

    def enqueue_req(self, conn: Any) -> None:
        conn.queued = time.perf_counter()
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        wait_over(time.perf_counter() - conn.queued)
        return super().handle(conn)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drain in a thread: a signal handler must not wait."""
        end = super().handle_exit
        threading.Thread(target=drain, args=(lambda: end(sig, frame),), name="drain", daemon=True).start()


def drain(then: Callable[[], None]) -> None:
    """Refuse new requests, wait for the running ones, then call `then`. A second signal ends at once."""
    if not lifecycle.draining:
        lifecycle.drain(settings.drain_timeout)
    then()


def write_json_error(sock: Any, status: int, reason: str, message: str) -> None:
    """Answer what is not even HTTP in OpenAI's shape too; gunicorn's own page is HTML and quotes the request."""
    error = InvalidRequest(f"This is no valid HTTP request: {reason}.", status=status, code="invalid_http")
    if status >= 500:
        error = InvalidRequest(
            "The gateway failed on this request.", status=status, type="server_error", code="internal_error"
        )
    body = dump(error_body(error))
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    util.write_nonblock(sock, head.encode("latin-1") + b"Content-Length: %d\r\n\r\n" % len(body) + body)


util.write_error = write_json_error


def answer_broken_body(error: ParseException) -> Response:
    """A chunked body that is none shows only when the application reads it."""
    return answer_error(
        InvalidRequest("The request body could not be read.", code="invalid_http", headers={"Connection": "close"})
    )


def when_ready(server: Any) -> None:
    """Say what is served, once the port is open."""
    address = server.LISTENERS[0] if server.LISTENERS else None
    print(banner(settings, _host_port(address)), flush=True)


def post_worker_init(worker: Any) -> None:
    """Mask what libraries log, and load what is heavy, in the process that needs it and behind the open port."""
    take_signals()
    faulthandler.enable()
    raise_file_limit()
    app = worker.app.callable
    app.register_error_handler(ParseException, answer_broken_body)
    install_logging(app.extensions["secret_book"].masker_for_all, loggers=("gunicorn.error",))
    app.extensions["loader"].begin()
    if worker.age == 1:
        tell_local_models(settings)
    if (telemetry := app.extensions.get("telemetry")) is not None:
        telemetry.start()


def pre_fork(server: Any, worker: Any) -> None:
    """Choose where the worker counts: where one that ended did, so that nothing is lost and nothing grows.

    Until it has its own handlers it would give signals to the master's, where they are lost: then a server that is told to
    end while it begins would wait for it as long as for its longest answer. So they wait.
    """
    worker.region = board.free({living.region for living in server.WORKERS.values()})
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)


def take_signals() -> None:
    """Let signals through that waited: in the master after the fork, in the worker when it has handlers."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


os.register_at_fork(after_in_parent=take_signals)


def post_fork(server: Any, worker: Any) -> None:
    os.environ["GATEWAY_WORKER"] = str(worker.age)
    if worker.region is None:
        server.log.warning("more workers than there is room for: /metrics will miss this one's requests")
    else:
        board.enter(worker.region)


def child_exit(server: Any, worker: Any) -> None:
    """What the worker was doing it does no more, even where nobody comes after it."""
    if worker.region is not None:
        board.regions[worker.region].leave()


def raise_file_limit() -> None:
    """A stream holds two sockets; 1,024 files would end at 500 streams."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else hard
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _host_port(listener: Any) -> str | None:
    address = listener.sock.getsockname() if listener is not None else None
    return host_port(address[0], address[1]) if isinstance(address, tuple) else None
