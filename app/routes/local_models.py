"""/api/models and what belongs to it: every model of the gateway, and those on this machine with their life.

Also the few paths of Ollama's API by which other programs see which models there are.
"""

import os
from typing import Any

from flask import Blueprint, Response, current_app, g, request

from app.access import check_local, check_origin
from app.config import Settings
from app.errors import InvalidRequest, ModelNotFound
from app.lifecycle import lifecycle
from app.local_models import rows
from app.local_models.catalog import catalog
from app.local_models.host_process import resident_bytes
from app.local_models.listing import all_rows, keeper_of, local_rows
from app.local_models.states import BUSY, DISCOVERED, FAILED, READY
from app.local_models.targets import ENGINE, find_local, find_target
from app.routes.conversation import read_json
from app.routes.health import reply
from app.utils.model_resolver import is_named, list_models, resolve_model
from app.version import VERSION

bp = Blueprint("local_models", __name__)
LONGEST_WAIT = 86_400.0  # seconds


@bp.get("/api/models")
def models() -> Response:
    """List all models."""
    return reply({"models": [row for row, _ in all_rows(settings_now())]})


@bp.route("/api/models/discover", methods=["GET", "POST"])
def discover() -> Response:
    """Look for models on this machine now, and tell what was found, what was not taken, and where it was looked."""
    settings = settings_now()
    if request.method == "POST":
        check_origin(request.headers, bool(settings.api_keys))
    if not settings.local_models:
        return reply({"discovered": 0, "models": [], "skipped": [], "folders": [],
                      "message": "Local models are switched off (GATEWAY_LOCAL_MODELS)."})  # fmt: skip
    found = catalog(settings).rescan()
    known = {status.name: status for status in keeper_of(settings).statuses()}
    listed = [row for row, _ in local_rows(settings, known)]
    return reply({
        "discovered": len(listed),
        "models": listed,
        "skipped": [{"path": str(skipped.path), "reason": skipped.why} for skipped in found.skipped],
        "folders": [
            {"path": str(place.folder), "source": place.source, "exists": place.folder.is_dir()} for place in found.folders
        ],
    })  # fmt: skip


@bp.post("/api/models/<path:name>/load")
def load(name: str) -> Response:
    """Load a model and wait for it. Raises ModelLoading where that takes longer than the client waits."""
    settings = settings_now()
    check_may_change(settings)
    wait = read_wait(settings)
    target = find_target(name, settings)
    if target.engine_name != ENGINE:
        return reply({"message": f"{name} is not on this machine: there is nothing to load.", **rows.remote_status_row(name)})
    order: dict[str, Any] = target.options["local"]
    with keeper_of(settings).lease(order, wait, g.cancel, fresh=True):
        status = keeper_of(settings).status(target.model)
    others = status.active - 1  # this lease is one of them
    status = status._replace(active=max(0, others), state=status.state if others > 0 else READY)
    word = "loaded" if status.state in (READY, BUSY) else status.state
    return reply({"message": f"{name} is {word}.", **rows.status_row(name, None, status)})


@bp.post("/api/models/<path:name>/unload")
def unload(name: str) -> Response:
    """Unload a model, when its running answers are done."""
    settings = settings_now()
    check_may_change(settings)
    own = own_name(name, settings)
    if own is None:
        return reply({"message": f"{name} is not on this machine: there is nothing to unload.",
                      **rows.remote_status_row(name)})  # fmt: skip
    status = keeper_of(settings).unload(own)
    word = "not loaded" if status.state == DISCOVERED else status.state
    return reply({"message": f"{name} is {word}.", **rows.status_row(name, find_local(own, settings), status)})


@bp.get("/api/models/<path:name>/status")
def status(name: str) -> Response:
    """Tell a model's state."""
    settings = settings_now()
    own = own_name(name, settings)
    if own is None:
        return reply(rows.remote_status_row(name))
    model, status = find_local(own, settings), keeper_of(settings).status(own)
    if model is None and status.state == DISCOVERED:
        status = status._replace(state=FAILED, reason=rows.NOT_HERE)
    return reply(rows.status_row(name, model, status))


@bp.get("/api/tags")
def tags() -> Response:
    """List all models as Ollama does, for programs that look there."""
    settings = settings_now()
    usable = [(row, modified) for row, modified in all_rows(settings) if not row["problem"]]
    return reply({"models": [rows.tag(row, modified) for row, modified in usable]})


@bp.post("/api/show")
def show() -> Response:
    """Describe a model as Ollama does."""
    body = read_json()
    name = (body.get("model") or body.get("name")) if isinstance(body, dict) else None
    if not isinstance(name, str) or not name:
        raise InvalidRequest("`model` is required.", param="model", code="missing_required_parameter")
    settings = settings_now()
    own = own_name(name, settings)
    model = find_local(own, settings) if own is not None else None
    if model is not None:
        return reply(rows.card(rows.local_row(name, model, None), model))
    target = resolve_model(name, settings)
    known = {info.id: info for info in list_models(settings)}
    info = known.get(name) or known.get(f"{target.provider_id}/{target.model_key}") or known.get(target.model_key)
    if info is None:
        raise ModelNotFound(f"The model `{name}` is not listed.", param="model")
    return reply(rows.card(rows.remote_row(info), None))


@bp.get("/api/version")
def version() -> Response:
    """Say the version, for programs that ask this to see whether somebody is there."""
    return reply({"version": VERSION})


@bp.get("/api/health")
def health() -> Response:
    """Say that the process is alive, how many models are loaded, and what memory they and it take."""
    loaded = [status for status in keeper_of(settings_now()).statuses() if status.state in (READY, BUSY)]
    memory = resident_bytes(os.getpid()) + sum(status.memory_bytes or 0 for status in loaded)
    return reply({
        "status": "healthy",
        "models_loaded": len(loaded),
        "memory_usage": rows.size_text(memory),
        "memory_bytes": memory,
        "in_flight": lifecycle.in_flight,
        "version": VERSION,
    })  # fmt: skip


# --- what they share ----------------------------------------------------------------------------------------------


def settings_now() -> Settings:
    settings: Settings = current_app.extensions["settings_store"].current
    return settings


def own_name(name: str, settings: Settings) -> str | None:
    """Return the name under which the keeper knows a model; None for one that is not on this machine.

    A model whose file is gone may still be loaded. Raises ModelNotFound.
    """
    if not is_named(name, settings):
        if model := find_local(name, settings):
            return model.name
        if any(status.name == name for status in keeper_of(settings).statuses()):
            return name
    target = resolve_model(name, settings)
    if target.engine_name != ENGINE:
        return None
    model = find_local(target.model, settings)
    return model.name if model else target.model


def check_may_change(settings: Settings) -> None:
    """Raise Forbidden for those who may not load and unload: web pages, and other machines without a key."""
    check_origin(request.headers, bool(settings.api_keys))
    if not settings.api_keys:
        check_local(request.remote_addr, request.headers, "load and unload models", "Set GATEWAY_API_KEYS for others.")


def read_wait(settings: Settings) -> float:
    """Return how many seconds a client waits for a load: `wait` of the body or the query. Raises InvalidRequest."""
    body = read_json(optional=True)
    if not isinstance(body, dict):
        raise InvalidRequest("The request body must be a JSON object.", code="invalid_type")
    given = body.get("wait", request.args.get("wait"))
    if given is None:
        return settings.local_wait
    try:
        wait = float(given) if not isinstance(given, bool) else -1.0
    except (TypeError, ValueError):
        wait = -1.0
    if not 0 <= wait <= LONGEST_WAIT:
        raise InvalidRequest("`wait` must be seconds, 0 or more.", param="wait", code="invalid_value")
    return wait
