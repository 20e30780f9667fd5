"""POST /v1/completions: the older text completion, asked as a chat."""

from flask import Blueprint, Response

from app.routes.conversation import begin_turn, json_response, read_json, stream_response
from app.utils import formatter
from app.utils.legacy_completion import TextChunks, as_chat, check_completion_request, format_text_completion

bp = Blueprint("completions", __name__)


@bp.post("/completions")
@bp.post("/v1/completions")
def completions() -> Response:
    """Answer a completion request, streamed or whole."""
    body = check_completion_request(read_json())
    turn = begin_turn(as_chat(body))
    if body.get("stream"):
        chunks = formatter.ChunkFormatter(turn.target.requested)
        return stream_response(turn.stream(), TextChunks(chunks.format, body).encode, turn)
    answer = formatter.format_completion(turn.complete(), turn.target.requested)
    return json_response(format_text_completion(answer, body), turn)
