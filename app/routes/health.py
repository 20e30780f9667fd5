"""GET /, /health and /ready: is it there, is it alive, may it have traffic."""

from flask import Blueprint, Response, current_app

from app.lifecycle import lifecycle
from app.utils.json_text import dump
from app.version import VERSION

bp = Blueprint("health", __name__)
PATHS = {
    "chat": "POST /v1/chat/completions",
    "completions": "POST /v1/completions",
    "models": "GET /v1/models",
    "generate": "POST /api/generate",
    "local_models": "GET /api/models",
    "tools": "GET /api/tools",
    "repairs": "GET /v1/repairs",
    "metrics": "GET /metrics",
    "health": "GET /health",
    "ready": "GET /ready",
}


@bp.get("/")
@bp.get("/v1")
@bp.get("/v1/")
def index() -> Response:
    """Say what this is and where things are."""
    return reply({"name": "OpenCode Gateway", "version": VERSION, "endpoints": PATHS})


@bp.get("/health")
def health() -> Response:
    """Say that the process is alive. Waits for nothing."""
    return reply({"status": "ok", "version": VERSION})


@bp.get("/ready")
def ready() -> Response:
    """Say whether the gateway can take requests now: 200, or 503 and why."""
    loader, store = current_app.extensions["loader"], current_app.extensions["settings_store"]
    store.current  # noqa: B018  looks at the file, so that `problem` is about what is there now
    state = {
        "settings": store.problem or "ok",
        "litellm": loader.state,
        "draining": lifecycle.draining,
        "in_flight": lifecycle.in_flight,
    }
    well = not lifecycle.draining and loader.state in ("ready", "not needed")
    return reply({"status": "ready" if well else "waiting", **state}, 200 if well else 503)


def reply(value: dict[str, object], status: int = 200) -> Response:
    return Response(dump(value), status, mimetype="application/json")
