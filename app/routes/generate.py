"""POST /api/generate: Shimmy's text generation, by any model of the gateway."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, current_app

from app import sse
from app.local_models.targets import find_local
from app.routes.conversation import begin_turn, json_response, read_json, stream_response
from app.utils.model_resolver import is_named
from app.utils.text_generation import as_chat, check_generate_request, format_generation, generation_events

bp = Blueprint("generate", __name__)
DEFAULT = "default"  # what Shimmy's description calls the model that is there


@bp.post("/api/generate")
def generate() -> Response:
    """Answer a prompt, whole or as a stream."""
    body = check_generate_request(read_json())
    turn = begin_turn(with_default_model(as_chat(body)))
    if body.get("stream"):
        return stream_response(generation_events(turn.stream()), sse.encode, turn)
    return json_response(format_generation(turn.complete(), turn.target.requested), turn)


def with_default_model(chat: Mapping[str, Any]) -> dict[str, Any]:
    """Take out the model `default` where no model has that name: then the default one is meant."""
    settings = current_app.extensions["settings_store"].current
    if chat["model"] != DEFAULT or is_named(DEFAULT, settings) or find_local(DEFAULT, settings):
        return dict(chat)
    return {name: value for name, value in chat.items() if name != "model"}
