"""Loads what is heavy behind the open port: LiteLLM's import takes 3 s of CPU, and /health must not wait for it."""

import threading
from typing import TYPE_CHECKING

from app.errors import log

if TYPE_CHECKING:
    from app.config import Settings


class Loader:
    """Imports LiteLLM in a thread when a model of the map needs it. `state`: not needed, waiting, loading, ready, failed."""

    def __init__(self, settings: "Settings") -> None:
        self.state = "waiting" if needs_litellm(settings) else "not needed"

    def begin(self) -> None:
        """Start loading; call it in the process that serves, after the fork."""
        if self.state == "waiting":
            self.state = "loading"
            threading.Thread(target=self._load, name="litellm-loader", daemon=True).start()

    def _load(self) -> None:
        from app.engines import litellm_sdk

        try:
            litellm_sdk.load()
        except ImportError as error:
            self.state = "failed"
            log.error("LiteLLM cannot be imported: %s", error)
        else:
            self.state = "ready"


def needs_litellm(settings: "Settings") -> bool:
    """Tell whether any model goes through LiteLLM."""
    from app.utils.model_resolver import list_models, resolve_model

    return any(resolve_model(model.id, settings).engine_name == "litellm" for model in list_models(settings))
