"""Models as the rows of /api/models, /api/tags and /api/show: what is known of each, null where nothing is."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from app.local_models.keeper_client import Status
from app.local_models.local_model import LocalModel
from app.local_models.states import BUSY, FAILED, READY

if TYPE_CHECKING:
    from app.utils.model_resolver import ModelInfo

Row = dict[str, Any]
NOT_HERE = "is not on this machine"
UNITS = (("TB", 2**40), ("GB", 2**30), ("MB", 2**20), ("KB", 2**10))


def local_row(name: str, model: LocalModel, status: Status | None) -> Row:
    """Describe a model on this machine. `name` is what to ask for; `status` is None while the keeper knows nothing."""
    state, reason = state_of(model, status)
    return {
        "id": name,
        "name": name,
        "description": model.description,
        "size_bytes": model.size_bytes,
        "model_type": model.model_type,
        "parameter_count": model.parameter_count,
        "quantization": model.quantization,
        "context_length": model.context_length,
        "source": model.source,
        "path": str(model.path),
        "state": state,
        "problem": reason,
        "local": True,
    }


def remote_row(info: "ModelInfo") -> Row:
    """Describe a model of opencode.json; it is always ready, as far as the gateway can tell."""
    return {
        "id": info.id,
        "name": info.id,
        "description": f"{info.name} ({info.provider_id})",
        "size_bytes": None,
        "model_type": None,
        "parameter_count": None,
        "quantization": None,
        "context_length": info.limit.get("context"),
        "source": "opencode.json",
        "path": None,
        "state": READY,
        "problem": None,
        "local": False,
    }


def state_of(model: LocalModel | None, status: Status | None) -> tuple[str, str | None]:
    """Return a model's state, and why it is the one it is, if it cannot be used."""
    if model is not None and model.problem:
        return FAILED, model.problem
    known = status or Status("")
    return known.state, known.reason


def status_row(name: str, model: LocalModel | None, status: Status) -> Row:
    """Tell a model's state; `status` and `state` are the same word. Times are Unix seconds, sizes bytes."""
    state, reason = state_of(model, status)
    return {
        "model": name,
        "status": state,
        "loaded": state in (READY, BUSY),
        "local": True,
        "state": state,
        "reason": reason,
        "progress": status.progress,
        "memory_bytes": status.memory_bytes,
        "active": status.active,
        "last_used": status.last_used,
        "loaded_at": status.loaded_at,
    }


def remote_status_row(name: str) -> Row:
    """Tell the state of a model that is not on this machine: there is nothing to load."""
    return {**status_row(name, None, Status(name, READY)), "local": False}


def tag(row: Mapping[str, Any], modified: float) -> Row:
    """Return a row as Ollama's GET /api/tags lists it. `modified` is in Unix seconds.

    Ollama's digest is a hash of the file. To hash files of many GB would take minutes: here it is one of what tells one
    version from another, 64 hexadecimal digits as well.
    """
    at = datetime.fromtimestamp(max(0.0, modified), timezone.utc)
    identity = f"{row['id']}\n{row['path']}\n{row['size_bytes']}\n{modified}"
    return {
        "name": row["id"],
        "model": row["id"],
        "modified_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "size": row["size_bytes"] or 0,
        "digest": hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest(),
        "details": details(row),
    }


def details(row: Mapping[str, Any]) -> Row:
    """Return the `details` of Ollama's API; all of them texts, "" where nothing is known."""
    family = row["model_type"] or ""
    return {
        "parent_model": "",
        "format": "gguf" if row["local"] else "",
        "family": family,
        "families": [family] if family else [],
        "parameter_size": row["parameter_count"] or "",
        "quantization_level": row["quantization"] or "",
    }


def card(row: Mapping[str, Any], model: LocalModel | None) -> Row:
    """Return a row as Ollama's POST /api/show answers; keys of `model_info` are those of a GGUF header."""
    kind = row["model_type"]
    facts = {
        "general.architecture": kind,
        "general.parameter_count": model.parameters if model else None,
        f"{kind}.context_length": row["context_length"],
        f"{kind}.embedding_length": model.embedding_length if model else None,
    }
    return {
        "modelfile": "",
        "parameters": "",
        "template": (model.chat_template if model else None) or "",
        "details": details(row),
        "model_info": {name: value for name, value in facts.items() if value is not None} if kind else {},
        "capabilities": ["completion", "tools"],
    }


def size_text(size: int) -> str:
    """Write a number of bytes for people: "2.1GB"."""
    for unit, step in UNITS:
        if size >= step:
            return f"{size / step:.1f}{unit}"
    return f"{size}B"
