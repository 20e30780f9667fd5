"""The models that this process knows to be on the machine: found once, looked for again when asked or when one is missed.

Who is asked to look again leaves word for the other workers: the date of a file in the data folder.
"""

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from app.config import ROOT
from app.local_models.discovery import Discovery, scan
from app.local_models.file_name import SUFFIX, model_name
from app.local_models.local_model import LocalModel

if TYPE_CHECKING:
    from app.config import Settings

FRESH_SECONDS = 30.0  # a list may be this old
WORD = "models-looked-for"
MISSED_SECONDS = 3.0  # a name that is not there is looked for again after this time


class Catalog:
    """What one scan found. Safe for threads; only one of them scans. `word` is the file that all workers look at."""

    def __init__(self, environ: Mapping[str, str], home: Path, cwd: Path, word: Path | None = None) -> None:
        self._places = (environ, home, cwd)
        self._word = word
        self._heard = 0
        self._lock = threading.Lock()
        self._found: Discovery | None = None
        self._at = 0.0

    def models(self) -> tuple[LocalModel, ...]:
        """List the models, those that cannot be used included."""
        return self._look(FRESH_SECONDS).models

    def find(self, name: str) -> LocalModel | None:
        """Return the model of that name or alias, in any case of letters, or as its file is called; None if there is none."""
        return _find(name, self._look(FRESH_SECONDS)) or _find(name, self._look(MISSED_SECONDS))

    def rescan(self) -> Discovery:
        """Look now, have the other workers look when they are asked next, and return what was found."""
        if self._word is not None:
            with contextlib.suppress(OSError):
                self._word.parent.mkdir(parents=True, exist_ok=True)
                self._word.touch()
        return self._look(0)

    def _look(self, age: float) -> Discovery:
        with self._lock:
            heard = self._hear()
            if self._found is None or heard != self._heard or time.monotonic() - self._at >= age:
                self._found, self._heard = scan(*self._places), heard
                self._at = time.monotonic()
            return self._found

    def _hear(self) -> int:
        """Return the date of the last word, 0 where there is none."""
        try:
            return os.stat(self._word).st_mtime_ns if self._word is not None else 0
        except OSError:
            return 0


def _find(name: str, found: Discovery) -> LocalModel | None:
    folded = name.casefold()
    exact = [model for model in found.models if name == model.name or name in model.aliases]
    alike = [m for m in found.models if folded in (m.name.casefold(), *(alias.casefold() for alias in m.aliases))]
    plain = model_name(folded.removesuffix(SUFFIX))
    return next(iter(exact or alike), None) or next((model for model in found.models if model.name == plain), None)


def catalog(settings: "Settings") -> Catalog:
    """Return the catalog of the settings' environment, one for each environment."""
    named = tuple(sorted((name, value) for name, value in settings.environ.items() if name in VARIABLES))
    return _catalog(named, str(Path.home()), str(ROOT), str(settings.data_dir / WORD))


VARIABLES = frozenset(
    """GATEWAY_MODEL_PATHS SHIMMY_MODEL_PATHS SHIMMY_BASE_GGUF SHIMMY_LORA_GGUF OLLAMA_MODELS HF_HUB_CACHE HF_HOME
    USERPROFILE""".split()
)


@cache
def _catalog(named: tuple[tuple[str, str], ...], home: str, cwd: str, word: str) -> Catalog:
    return Catalog(dict(named), Path(home), Path(cwd), Path(word))
