"""The gateway. `create_app` is the table of contents: what is wired here is all there is."""

from flask import Flask

from app import auth, errors, lifecycle, trace
from app.config import Settings, SettingsStore, check_bind
from app.loader import Loader
from app.repair_counts import RepairCounts
from app.routes import chat, completions, health, models, repairs
from app.signature_store import open_signatures
from app.store import Store


def create_app(settings: Settings | None = None) -> Flask:
    """Return the WSGI application. Raises ConfigError for settings that cannot be served."""
    app = Flask(__name__, static_folder=None)
    store = SettingsStore(settings or Settings.load(), log=errors.log.warning)
    check_bind(store.current)
    app.config["MAX_CONTENT_LENGTH"] = store.current.max_body_bytes
    app.extensions |= {"settings_store": store, "loader": Loader(store.current)}
    database = Store(store.current.database_url, store.current.data_dir)
    app.extensions |= {"store": database, "signatures": open_signatures(database, store.current),
                       "repair_counts": RepairCounts(database, lifecycle.instance)}
    app.url_map.strict_slashes = False
    errors.init_app(app)
    trace.init_app(app, store)
    auth.init_app(app, store)
    lifecycle.init_app(app)
    for room in (chat, completions, models, repairs, health):
        app.register_blueprint(room.bp)
    return app
