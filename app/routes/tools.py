"""/api/tools: the gateway's own tools, listed and run."""

import threading
from typing import TYPE_CHECKING

from flask import Blueprint, Response, current_app, request

from app.access import check_local, check_origin
from app.config import Settings, folder
from app.errors import InvalidRequest
from app.routes.conversation import read_json
from app.routes.health import reply

if TYPE_CHECKING:
    from app.tools.registry import Registry

bp = Blueprint("tools", __name__)
_making = threading.Lock()


@bp.get("/api/tools")
def tools() -> Response:
    """List the tools: name, description and JSON schema of the parameters."""
    settings = allowed_settings()
    return reply({"tools": registry_of(settings).definitions()})


@bp.post("/api/tools/<name>/execute")
def execute(name: str) -> Response:
    """Run a tool with the `arguments` of the body. What goes wrong in the tool is told in its result, with a 200."""
    settings = allowed_settings()
    check_origin(request.headers, bool(settings.api_keys))
    body = read_json(optional=True)
    if not isinstance(body, dict):
        raise InvalidRequest("The request body must be a JSON object.", code="invalid_type")
    registry = registry_of(settings)
    result = registry.execute(name, body.get("arguments"))
    return reply(result, 200 if name in registry.tools else 404)


def allowed_settings() -> Settings:
    """Return the settings. Raises Forbidden for clients on other machines, unless they may run tools too."""
    settings: Settings = current_app.extensions["settings_store"].current
    if not settings.tools_remote:
        check_local(request.remote_addr, request.headers, "use tools", "GATEWAY_TOOLS_REMOTE=1 lets others do so too.")
    return settings


def registry_of(settings: Settings) -> "Registry":
    """Return the tools of these settings, made when they are first asked for. Raises ConfigError for a broken file."""
    from app.tools.toolbox import make_registry  # with libraries that only tools need

    key = (settings.tools_root, settings.tools_file)
    with _making:
        made: dict[tuple[str | None, str | None], Registry] = current_app.extensions.setdefault("tools", {})
        if key not in made:
            root, file = (folder(value) if value else None for value in key)
            made[key] = make_registry(root, file)
        return made[key]
