"""The gateway. `create_app` is the table of contents: what is wired here is all there is."""

from collections.abc import Callable
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from app import auth, errors, lifecycle, metrics, request_trace, shimmy_errors, telemetry, trace_store
from app.config import Settings, SettingsStore, check_bind
from app.loader import Loader
from app.repair_counts import RepairCounts
from app.routes import chat, completions, generate, health, inspector, models, repairs
from app.routes import local_models as local_model_routes  # not under the names of packages of this one
from app.routes import metrics as metric_routes
from app.routes import tools as tool_routes
from app.routes import websocket as websocket_routes
from app.signature_store import open_signatures
from app.store import Store


class LazyRule(Rule):
    """A route that compiles what builds its URL when one is built, which is never: that is most of the start."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compiled = super()._compile_builder

        def build(rule: Rule, **values: Any) -> tuple[str, str]:
            return compiled(append_unknown)(rule, **values)

        return build


class Gateway(Flask):
    """Flask for plain functions: it does not ask in each request, of each of them, whether it is a coroutine."""

    url_rule_class = LazyRule

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def create_app(settings: Settings | None = None) -> Flask:
    """Return the WSGI application. Raises ConfigError for settings that cannot be served."""
    app = Gateway(__name__, static_folder=None)
    store = SettingsStore(settings or Settings.load(), log=errors.log.warning)
    check_bind(store.current)
    app.config["MAX_CONTENT_LENGTH"] = store.current.max_body_bytes
    app.extensions |= {"settings_store": store, "loader": Loader(store.current)}
    database = Store(store.current.database_url, store.current.data_dir)
    app.extensions |= {"store": database, "signatures": open_signatures(database, store.current),
                       "repair_counts": RepairCounts(database, lifecycle.instance)}
    app.url_map.strict_slashes = False
    errors.init_app(app)
    shimmy_errors.init_app(app)
    request_trace.init_app(app, store)
    auth.init_app(app, store)
    lifecycle.init_app(app)
    trace_store.init_app(app)
    telemetry.init_app(app)
    metrics.init_app(app)
    app.register_blueprint(metric_routes.bp)
    for room in (chat, completions, models, repairs, health, generate, websocket_routes, local_model_routes, tool_routes):
        app.register_blueprint(room.bp)
    if store.current.inspector:
        app.register_blueprint(inspector.bp)
    return app
