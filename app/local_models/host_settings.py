"""A discovered model and the settings -> the order that a keeper and its host get. Pure but for the machine's size."""

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.local_models.local_model import LocalModel
from app.local_models.rows import size_text

if TYPE_CHECKING:
    from app.config import Settings

SHARE = 0.7  # of the machine's memory, for all local models together
OVERHEAD = 64 * 1024**2  # bytes of one host besides weights and cache: the library, buffers for computing
CACHE_UNKNOWN = 128 * 1024  # bytes a token, where the header does not tell: that of an 8B model
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def order_for(model: LocalModel, settings: "Settings") -> dict[str, Any]:
    """Return how to load a model: all that a keeper needs to know. `size` is in bytes, estimated."""
    context = min(settings.local_context, model.context_length or settings.local_context)
    cache = (model.cache_bytes_per_token or CACHE_UNKNOWN) * context
    return {
        "name": model.name,
        "path": str(model.path.absolute()),
        "size": model.size_bytes + cache + OVERHEAD,
        "context": context,
        "slots": settings.local_slots,
        "threads": settings.local_threads or usual_threads(os.cpu_count()),
        "adapters": [str(model.lora.absolute())] if model.lora else [],
        "folder": str(settings.data_dir),
        "memory": memory_for(settings),
        "idle": settings.local_idle,
        "wait": settings.local_wait,
    }


def fitted(model: LocalModel, settings: "Settings") -> LocalModel:
    """Return a model, with a problem where it is surely larger than all local models together may be."""
    order = order_for(model, settings)
    needed = order["size"] - (0 if model.cache_bytes_per_token else CACHE_UNKNOWN * order["context"])
    if model.problem or needed <= order["memory"]:
        return model
    most = f"all local models together may take {size_text(order['memory'])} (GATEWAY_LOCAL_MEMORY)"
    return replace(model, problem=f"needs {size_text(needed)} of memory; {most}")


def memory_for(settings: "Settings") -> int:
    """Return the bytes that all local models together may take."""
    return settings.local_memory or _machine_memory()


@cache
def _machine_memory() -> int:
    return usual_memory()


def usual_threads(cores: int | None) -> int:
    """Leave one core to the gateway: more threads than that were slower, on busy machines by half."""
    return max(1, (cores or 2) - 1)


def usual_memory(limits: Mapping[str, str] | None = None) -> int:
    """Return the bytes that all local models may take: 70 % of the machine's memory, or of the container's."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for text in (limits if limits is not None else _container_limits()).values():
        if text.strip().isdigit():
            found.append(int(text))
    return int(min(found) * SHARE)


def _container_limits() -> dict[str, str]:
    read = {}
    for name in CGROUP_LIMITS:
        try:
            read[name] = Path(name).read_text()
        except OSError:
            continue  # no such kind of container
    return read
