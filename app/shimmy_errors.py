"""The one error shape of /api and /ws: {"error": {"code", "message", "details"}}, with four codes. Statuses stay.

`details` is one line for programs: the gateway's own code for what happened, and the field that it is about.
"""

from collections.abc import Callable

from flask import Flask

from app.errors import ConfigError, GatewayError, InvalidRequest, ModelNotFound, UpstreamError
from app.local_models.errors import ModelLoadFailed

MODEL_NOT_FOUND, INVALID_REQUEST = "model_not_found", "invalid_request"
GENERATION_FAILED, SERVER_ERROR = "generation_failed", "server_error"
ROOMS = ("api", "ws")  # the first part of the path
THE_CLIENTS = (400, 404, 405, 409, 413, 422)  # an upstream's statuses for what the request itself asked for


def init_app(app: Flask) -> None:
    """Tell the errors of these rooms in this shape, also those of unknown paths and of bugs."""
    app.extensions["error_shapes"] = dict.fromkeys(ROOMS, error_body)


def error_body(error: GatewayError, mask: Callable[[str], str] = str) -> dict[str, dict[str, str]]:
    """Return the error object; all three keys are always there. `mask` hides keys that an upstream may quote."""
    details = (error.code or error.type) + (f" in `{error.param}`" if error.param else "")
    return {"error": {"code": code_of(error), "message": mask(str(error)), "details": mask(details)}}


def code_of(error: GatewayError) -> str:
    """Return the one of the four codes that fits: what to change, the model, the request, or nothing here."""
    if isinstance(error, ModelNotFound) or (isinstance(error, UpstreamError) and error.code == MODEL_NOT_FOUND):
        return MODEL_NOT_FOUND
    if isinstance(error, UpstreamError):
        return INVALID_REQUEST if error.status in THE_CLIENTS else GENERATION_FAILED
    if isinstance(error, ModelLoadFailed):
        return GENERATION_FAILED
    return INVALID_REQUEST if isinstance(error, InvalidRequest) and not isinstance(error, ConfigError) else SERVER_ERROR
