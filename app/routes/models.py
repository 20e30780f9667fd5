"""GET /v1/models and /v1/models/{id}: what opencode.json offers, in OpenAI's shape and a little more."""

from typing import Any

from flask import Blueprint, Response, current_app

from app.local_models.targets import all_models, find_target
from app.routes.health import reply
from app.utils.model_resolver import ModelInfo

bp = Blueprint("models", __name__)


@bp.get("/models")
@bp.get("/v1/models")
def models() -> Response:
    """List the models."""
    settings = current_app.extensions["settings_store"].current
    return reply({"object": "list", "data": [as_openai(model) for model in all_models(settings)]})


@bp.get("/models/<path:name>")
@bp.get("/v1/models/<path:name>")
def model(name: str) -> Response:
    """Describe one model, by any name that a request may use. Raises ModelNotFound."""
    settings = current_app.extensions["settings_store"].current
    target = find_target(name, settings)
    known = {info.id: info for info in all_models(settings)}
    info = known.get(name) or known.get(f"{target.provider_id}/{target.model_key}") or known.get(target.model_key)
    described = as_openai(info) if info else {"object": "model", "created": 0, "owned_by": target.provider_id}
    return reply({**described, "id": name})


def as_openai(info: ModelInfo) -> dict[str, Any]:
    """Return OpenAI's four fields, and what agents like to know: name, limits, modalities, prices."""
    row: dict[str, Any] = {
        "id": info.id,
        "object": "model",
        "created": info.created,
        "owned_by": info.owned_by,
        "name": info.name,
    }
    if info.limit.get("context"):
        row["context_length"] = info.limit["context"]
    more = {"limit": info.limit, "modalities": info.modalities, "cost": info.cost, "alias_of": info.alias_of}
    return row | {name: dict(value) if not isinstance(value, str) else value for name, value in more.items() if value}
