"""Loads what is heavy behind the open port: LiteLLM's import takes 3 s of CPU, and /health must not wait for it."""

import gc
import threading
from typing import TYPE_CHECKING

from app.errors import log

if TYPE_CHECKING:
    from app.config import Settings


GARBAGE = (10_000, 20, 20)  # new objects until the collector looks at them; 700 by default: less than one request makes


class Loader:
    """Imports LiteLLM in a thread when a model of the map needs it. `state`: not needed, waiting, loading, ready, failed."""

    def __init__(self, settings: "Settings") -> None:
        self.state = "waiting" if needs_litellm(settings) else "not needed"

    def begin(self) -> None:
        """Start loading; call it in the process that serves, after the fork."""
        if self.state == "waiting":
            self.state = "loading"
            threading.Thread(target=self._load, name="litellm-loader", daemon=True).start()
        elif self.state == "not needed":
            spare_the_loaded()

    def _load(self) -> None:
        from app.engines import litellm_sdk

        try:
            litellm_sdk.load()
        except ImportError as error:
            self.state = "failed"
            log.error("LiteLLM cannot be imported: %s", error)
        else:
            spare_the_loaded()
            self.state = "ready"


def tell_local_models(settings: "Settings") -> threading.Thread:
    """Print which models are on this machine, in the thread that is returned: to look for them takes its time."""
    thread = threading.Thread(target=_tell_local_models, args=(settings,), name="local-models", daemon=True)
    thread.start()
    return thread


def _tell_local_models(settings: "Settings") -> None:
    from app.banner import local_line
    from app.local_models.keeper_client import is_installed
    from app.local_models.listing import local_rows

    rows = [row for row, _ in local_rows(settings, {})]
    usable = [str(row["id"]) for row in rows if not row["problem"]]
    if line := local_line(usable, len(rows) - len(usable), is_installed()):
        print(line, flush=True)


def spare_the_loaded() -> None:
    """Keep the garbage collector from going over all that was imported: each time it would stop all answers for 0.3 s.

    What a request makes is freed without it; it is needed for cycles only, so it may come less often, too.
    """
    gc.freeze()
    gc.set_threshold(*GARBAGE)


def needs_litellm(settings: "Settings") -> bool:
    """Tell whether any model goes through LiteLLM."""
    from app.utils.model_resolver import list_models, resolve_model

    return any(resolve_model(model.id, settings).engine_name == "litellm" for model in list_models(settings))
