"""Every model of the gateway as a row: those of opencode.json, then those on this machine, with the state of each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.local_models import rows
from app.local_models.host_settings import memory_for
from app.local_models.keeper_client import KeeperClient, Status, client_for
from app.local_models.rows import Row
from app.local_models.states import FAILED
from app.local_models.targets import ENGINE, PROVIDER, find_local, models_here
from app.utils.model_resolver import ModelInfo, is_named, list_models, resolve_model

if TYPE_CHECKING:
    from app.config import Settings


def keeper_of(settings: "Settings") -> KeeperClient:
    """Return the way to the keeper; nothing is started by asking it for states."""
    return client_for(str(settings.data_dir), memory_for(settings), settings.local_idle)


def all_rows(settings: "Settings") -> list[tuple[Row, float]]:
    """List the rows of all models, each with its date: those of opencode.json, then those on this machine.

    A model on this machine whose name is one of the file's is listed as `local/NAME`.
    """
    known = {status.name: status for status in keeper_of(settings).statuses()}
    listed = [(map_row(info, settings, known), float(info.created)) for info in list_models(settings)]
    return listed + local_rows(settings, known)


def local_rows(settings: "Settings", known: Mapping[str, Status]) -> list[tuple[Row, float]]:
    """List the rows of the models on this machine, damaged ones too."""
    rows_here = []
    for model in models_here(settings):
        name = f"{PROVIDER}/{model.name}" if is_named(model.name, settings) else model.name
        rows_here.append((rows.local_row(name, model, known.get(model.name)), model.modified))
    return rows_here


def map_row(info: ModelInfo, settings: "Settings", known: Mapping[str, Status]) -> Row:
    """Describe a model of opencode.json, which may name one on this machine."""
    target = resolve_model(info.id, settings)
    if target.engine_name != ENGINE:
        return rows.remote_row(info)
    model = find_local(target.model, settings)
    if model is None:
        return rows.remote_row(info) | {"local": True, "state": FAILED, "problem": rows.NOT_HERE}
    return rows.local_row(info.id, model, known.get(model.name))
