"""One model as it lies on the disk: its files, what they say of themselves, and why it cannot be used, if so."""

from dataclasses import dataclass
from pathlib import Path

from app.local_models.metadata import Metadata

BASE, FOLDER, OLLAMA, HUGGING_FACE, LM_STUDIO = "base", "folder", "ollama", "huggingface", "lmstudio"


@dataclass(frozen=True, kw_only=True)
class LocalModel(Metadata):
    """A model that was found; the fields of Metadata are its own.

    `name` is unique among the models of one scan, and so are its `aliases`. `path` is what a loader is given: the file,
    or the first of the shards in `paths`. `source` is where it was found: "base" (SHIMMY_BASE_GGUF), "folder",
    "ollama", "huggingface" or "lmstudio". `modified` is in Unix seconds. `lora` and `projector` are files beside it
    that belong to it. `problem` is None, or says why the model cannot be loaded.
    """

    name: str
    path: Path
    paths: tuple[Path, ...]
    size_bytes: int
    source: str
    modified: float = 0.0
    aliases: tuple[str, ...] = ()
    lora: Path | None = None
    projector: Path | None = None
    problem: str | None = None

    @property
    def model_type(self) -> str:
        """The architecture, or "unknown"."""
        return self.architecture or "unknown"

    @property
    def description(self) -> str:
        """One line for people: "Tiny Test: llama, 8B, Q4_K_M, 8192 tokens (ollama)"."""
        context = f"{self.context_length} tokens" if self.context_length else None
        facts = (self.architecture, self.parameter_count, self.quantization, context)
        told = ", ".join(fact for fact in facts if fact) or "GGUF model"
        problem = f"; cannot be used: {self.problem}" if self.problem else ""
        return f"{self.title or self.name}: {told} ({self.source}){problem}"
