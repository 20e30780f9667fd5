"""Writes a store as Ollama keeps it: blobs named by their hash, manifests that name the blobs."""

import hashlib
import json
import shutil
from pathlib import Path


def blob_of(store: Path, file: Path) -> Path:
    """Move a file into the store and return the blob."""
    name = "sha256-" + hashlib.sha256(file.read_bytes()).hexdigest()
    (store / "blobs").mkdir(parents=True, exist_ok=True)
    return Path(shutil.move(file, store / "blobs" / name))


def manifest(store: Path, name: str, **layers: Path) -> Path:
    """Write the manifest of a model: `manifest(store, "registry.ollama.ai/library/x/14b", model=blob)`."""
    path = store / "manifests" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (store / "blobs").mkdir(exist_ok=True)
    listed = [
        {
            "mediaType": f"application/vnd.ollama.image.{kind}",
            "digest": blob.name.replace("-", ":"),
            "size": blob.stat().st_size if blob.exists() else 123,
        }
        for kind, blob in layers.items()
    ]
    path.write_text(json.dumps({"schemaVersion": 2, "config": {"digest": "sha256:aa", "size": 1}, "layers": listed}))
    return path
