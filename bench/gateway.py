"""Starts the gateway for a measurement: a model map that points at the fake upstream, nothing from the user's home."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.processes import Server, free_port, gunicorn, wait_for_ready

ENGINES = ("relay", "litellm")
ANSWERS = ("burst/2", "burst/502", "paced/2", "paced/102", "slow/10", "calls/2")
PLAIN, GEMINI = "plain-model", "gemini-3-flash-preview"


def model_name(engine: str, answer: str, model: str = PLAIN) -> str:
    """Name the model that goes through `engine` to the upstream that answers so."""
    return f"{engine}-{answer.replace('/', '-')}/{model}"


def model_map(upstream_port: int) -> dict:
    """Write the opencode.json of the measurement: one provider for each engine and way of answering."""
    providers: dict[str, dict] = {"mock": {"options": {"engine": "mock"}, "models": {"mock": {}}}}
    for engine in ENGINES:
        for answer in ANSWERS:
            options = {"engine": engine, "baseURL": f"http://127.0.0.1:{upstream_port}/{answer}/v1", "apiKey": "bench"}
            models = {name: {"tool_call": True} for name in (PLAIN, GEMINI)}
            providers[f"{engine}-{answer.replace('/', '-')}"] = {"options": options, "models": models}
    return {"provider": providers}


@contextlib.contextmanager
def gateway(upstream_port: int, worker_class: str = "gthread", threads: int = 256, **settings: str) -> Iterator[Server]:
    """Run the gateway with one worker until the block ends, LiteLLM loaded."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        port, home = free_port(), Path(folder)
        (home / "opencode.json").write_text(json.dumps(model_map(upstream_port)))
        (home / "env").write_text("")
        environment = {
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "OPENCODE_CONFIG": str(home / "opencode.json"),
            "GATEWAY_ENV_FILE": str(home / "env"),
            "GATEWAY_DATA_DIR": str(home / "var"),
            "GATEWAY_VERBOSE": "0",
            "GATEWAY_WORKERS": "1",
            "GATEWAY_WORKER_CLASS": worker_class,
            "GATEWAY_THREADS": str(threads),
            "HOME": folder,
            **settings,
        }
        arguments = ["-c", "python:app.server", "app:create_app()"]
        with gunicorn("gateway", arguments, environment, port, "/health", home / "log") as server:
            wait_for_ready(server)
            yield server


@contextlib.contextmanager
def bare_wsgi(worker_class: str = "gthread", threads: int = 256) -> Iterator[Server]:
    """Run the bare WSGI application on the same kind of worker."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        port = free_port()
        arguments = ["-w", "1", "-k", worker_class, "--threads", str(threads), "-b", f"127.0.0.1:{port}"]
        arguments += ["--keep-alive", "75", "--no-control-socket", "--log-level", "warning", "bench.floor:app"]
        with gunicorn("bare WSGI", arguments, {}, port, "/", Path(folder) / "log") as server:
            yield server
