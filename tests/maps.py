"""Model maps for tests: the same fake upstream behind both engines, as `relay/…` and `litellm/…`."""

import json
from pathlib import Path
from typing import Any

ENGINES = ("relay", "litellm")
MODEL = "fake-model"
UPSTREAM_KEY = "sk-upstream-0123456789abcdef"


def both_engines(base_url: str, *models: str, **options: Any) -> dict[str, Any]:
    """Return the content of an opencode.json with one provider per engine, both at `base_url`."""
    rows = {model: {} for model in models or (MODEL,)}
    providers = {
        engine: {"options": {"baseURL": base_url, "apiKey": UPSTREAM_KEY, "engine": engine, **options}, "models": rows}
        for engine in ENGINES
    }
    return {"provider": {**providers, "mock": {"options": {"engine": "mock"}, "models": {"mock": {}}}}}


def write_map(folder: Path, content: dict[str, Any]) -> str:
    """Write an opencode.json; return its path, as OPENCODE_CONFIG wants it."""
    path = folder / "opencode.json"
    path.write_text(json.dumps(content), "utf-8")
    return str(path)
