"""Looks over an installation: settings, places, processes. Returns facts and problems; prints nothing, changes nothing.

Only `check_upstreams` and a database on another machine need the network, and are asked only when that is wanted.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app import machine
from app.config import ROOT, SETTINGS, Setting, Settings
from app.extras import GEVENT, OTEL, POSTGRES
from app.utils.masking import Masker, show_ends
from app.version import VERSION

ERROR, WARNING = "error", "warning"
LOCK_SECONDS = 1.0  # that another program may hold the database
CALL_SECONDS = 5.0


@dataclass
class Diagnosis:
    """All that was found. `facts` are JSON-like values by section; `problems` are `{"level", "about", "message"}`."""

    facts: dict[str, Any] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)

    def add(self, level: str, about: str, message: str) -> None:
        self.problems.append({"level": level, "about": about, "message": message})

    @property
    def ok(self) -> bool:
        return not any(problem["level"] == ERROR for problem in self.problems)


def diagnose(settings: Settings | None, why_no_settings: str | None, why_not: Callable[[str, int], OSError | None],
             network: bool) -> Diagnosis:  # fmt: skip
    """Look at everything. `why_not(host, port)` says why nothing can listen there.

    Without usable settings only the machine is looked at. `network`: upstreams, and a database elsewhere, are asked.
    """
    found = Diagnosis()
    found.facts["versions"] = {"gateway": VERSION, **machine.versions()}
    found.facts["machine"] = {**machine.processor(), **machine.memory()}
    if settings is None:
        found.add(ERROR, "settings", why_no_settings or "they cannot be read")
        return found
    check_settings(settings, found)
    check_local(settings, found)
    check_server(settings, found, why_not)
    check_database(settings, found, network)
    check_upstreams(settings, found, network)
    check_extras(settings, found)
    return found


def check_settings(settings: Settings, found: Diagnosis) -> None:
    """Tell each setting with its source, keys by their ends; and what `check` finds in opencode.json."""
    from app.check import check

    found.facts["settings"] = [setting_row(setting, settings) for setting in SETTINGS]
    found.facts["model_map"] = {"path": _text(settings.opencode.path), "problem": settings.problem}
    for finding in check(settings):
        found.add(finding.level, finding.path, finding.message)


def setting_row(setting: Setting, settings: Settings) -> dict[str, Any]:
    """Return a setting as `{"name", "value", "source"}`; the source is environment, default, or the path of .env."""
    given = settings.environ.get(setting.name)
    if given is None:
        return {"name": setting.name, "value": setting.default or None, "source": "default"}
    source = "environment" if os.environ.get(setting.name) else str(settings.env_file or ROOT / ".env")
    shown = Masker(settings.secrets).mask_text(given)
    if setting.secret and "://" not in given:
        shown = ", ".join(show_ends(part.strip()) for part in given.split(","))
    return {"name": setting.name, "value": shown, "source": source}


# --- local models --------------------------------------------------------------------------------------------------


def check_local(settings: Settings, found: Diagnosis) -> None:
    """Tell where models are looked for, what is there and what is not one, and whether they could run."""
    from app.local_models.catalog import catalog
    from app.local_models.host_settings import fitted, memory_for, usual_threads

    installed = found.facts["versions"][machine.LOCAL_PACKAGE] is not None
    reason = machine.try_local_package() if installed else None
    here: dict[str, Any] = {
        "on": settings.local_models,
        "installed": installed,
        "runs": installed and reason is None,
        "reason": reason,
        "memory_bytes": memory_for(settings),
        "threads": settings.local_threads or usual_threads(os.cpu_count()),
        "folders": [],
        "models": [],
        "skipped": [],
    }
    found.facts["local_models"] = here
    if reason:
        found.add(ERROR, machine.LOCAL_PACKAGE, reason)
    if not settings.local_models:
        return
    seen = catalog(settings).rescan()
    models = [fitted(model, settings) for model in seen.models]
    here["folders"] = [
        {"path": str(place.folder), "source": place.source, "exists": place.folder.is_dir(),
         "models": sum(model.path.is_relative_to(place.folder) for model in models)}
        for place in seen.folders
    ]  # fmt: skip
    here["models"] = [{"name": model.name, "path": str(model.path), "problem": model.problem} for model in models]
    here["skipped"] = [{"path": str(skipped.path), "why": skipped.why} for skipped in seen.skipped]
    for model in models:
        if model.problem:
            found.add(WARNING, model.name, f"{model.problem} ({model.path})")
    if models and not installed:
        found.add(WARNING, machine.LOCAL_PACKAGE, "it is not installed, so local models cannot run: ./run.sh --local")
    here["keeper"] = keeper_state(settings)


def keeper_state(settings: Settings) -> dict[str, Any]:
    """Return whether the process that owns the models is running, and the models that it holds; starts none."""
    from app.local_models.keeper_protocol import connect, socket_path
    from app.local_models.listing import keeper_of

    folder = settings.data_dir
    try:
        connect(socket_path(folder), LOCK_SECONDS).close()
    except OSError:
        return {"running": False, "log": str(folder / "local-models.log"), "models": []}
    states = [status._asdict() for status in keeper_of(settings).statuses()]
    return {"running": True, "log": str(folder / "local-models.log"), "models": states}


# --- server, database, upstreams -----------------------------------------------------------------------------------


def check_server(settings: Settings, found: Diagnosis, why_not: Callable[[str, int], OSError | None]) -> None:
    """Tell whether the gateway could listen at HOST and PORT now."""
    error = why_not(settings.host, settings.port)
    free = error is None
    found.facts["server"] = {"host": settings.host, "port": settings.port, "free": free}
    if error is not None:
        words = error.strerror or str(error)
        found.add(WARNING, f"{settings.host}:{settings.port}", f"cannot listen there ({words}); a gateway may be running")


def check_database(settings: Settings, found: Diagnosis, network: bool) -> None:
    """Tell whether the database could be written; one on another machine is asked only with `network`."""
    url = settings.database_url
    if url and not url.startswith("sqlite"):
        problem = POSTGRES.missing if not POSTGRES.installed else why_not_served(url) if network else None
        facts: dict[str, Any] = {"kind": "postgresql", "path": None, "writable": False if problem else network or None}
    else:
        path = Path(url.removeprefix("sqlite:///")) if url else settings.data_dir / "gateway.db"
        problem = why_not_writable(path)
        facts = {"kind": "sqlite", "path": str(path), "writable": problem is None}
    found.facts["database"] = {**facts, "problem": problem}
    if problem:
        found.add(ERROR, "database", problem)


def why_not_writable(path: Path) -> str | None:
    """Return why the SQLite file at `path` could not be written, None if it could. Nothing is written."""
    if not path.exists():
        parent = next(parent for parent in path.absolute().parents if parent.exists())
        return None if os.access(parent, os.W_OK | os.X_OK) else f"{path} cannot be made: {parent} is not writable"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=LOCK_SECONDS)) as connection:
            connection.isolation_level = None
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return f"{path}: {error}"
    return None


def why_not_served(url: str) -> str | None:
    """Return why the PostgreSQL server at `url` could not be written, None if it could. Nothing is written."""
    from sqlalchemy import create_engine, make_url, text

    from app.database import CONNECT_SECONDS, FAILURES, describe

    try:
        address = make_url(url.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+psycopg")
        engine = create_engine(address, connect_args={"connect_timeout": CONNECT_SECONDS}, hide_parameters=True)
        with engine.connect() as connection:
            read_only = connection.execute(text("SHOW transaction_read_only")).scalar() == "on"
        engine.dispose()
    except FAILURES as error:
        return describe(error)
    return "it is a read-only copy" if read_only else None


def check_upstreams(settings: Settings, found: Diagnosis, network: bool) -> None:
    """Tell each upstream address and its key by its ends; with `network`, whether it answers anything (no key is sent)."""
    from app.utils.model_resolver import list_models, resolve_model

    hide = Masker(settings.secrets).mask_text
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for model in list_models(settings):
        target = resolve_model(model.id, settings)
        if target.base_url:
            where = {"provider": target.provider_id, "url": hide(target.base_url), "key_source": target.key_source}
            asked = {"key": show_ends(target.api_key) if target.api_key else None, "reachable": None, "seconds": None}
            rows.setdefault((target.provider_id, target.base_url), where | asked)
    found.facts["upstreams"] = list(rows.values())
    for (provider, url), row in rows.items() if network else ():
        began = time.monotonic()
        problem = why_unreachable(url)
        row.update(reachable=problem is None, seconds=round(time.monotonic() - began, 3))
        if problem:
            found.add(ERROR, provider, problem)


def check_extras(settings: Settings, found: Diagnosis) -> None:
    """Tell what the settings ask for and is not installed, apart from what local models and the database need."""
    from app.telemetry import wanted

    if settings.worker_class == GEVENT.name and not GEVENT.installed:
        found.add(ERROR, GEVENT.name, GEVENT.missing)
    if wanted(settings.environ) and not OTEL.installed:
        found.add(WARNING, OTEL.name, OTEL.missing)


def why_unreachable(base_url: str) -> str | None:
    """Ask an address for its models, without a key; return why no answer came. Any status is an answer."""
    from app.call import Timeouts, UpstreamCall
    from app.engines.wire import Exchange
    from app.errors import GatewayError
    from app.trace import Trace

    call = UpstreamCall(Trace("CLI", "diag"), timeouts=Timeouts(CALL_SECONDS, CALL_SECONDS, CALL_SECONDS))
    url = base_url.partition("?")[0].rstrip("/") + "/models"
    try:
        with Exchange("GET", url, {"Accept": "application/json"}, b"", call) as exchange:
            exchange.open()
    except GatewayError as error:
        return str(error)
    return None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
