"""POST /v1/chat/completions. Read `chat_completions` top to bottom: that is the whole gateway."""

from flask import Blueprint, Response

from app.quirks.responses_body import is_responses_body
from app.routes.conversation import begin_turn, json_response, read_json, stream_response
from app.utils import formatter
from app.utils.request_check import check_chat_request

bp = Blueprint("chat", __name__)


@bp.post("/chat/completions")
@bp.post("/v1/chat/completions")
def chat_completions() -> Response:
    """Answer a chat request of OpenAI's shape, streamed or whole."""
    body = read_json()
    if not (isinstance(body, dict) and is_responses_body(body)):
        body = check_chat_request(body)
    turn = begin_turn(body)
    if body.get("stream"):
        chunks = formatter.ChunkFormatter(turn.target.requested)
        return stream_response(turn.stream(), chunks.encode, turn)
    answer = formatter.format_completion(turn.complete(), turn.target.requested)
    return json_response(answer, turn)
