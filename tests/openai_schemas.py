"""OpenAI's official JSON Schemas, read where they lie beside the checkout; tests skip loudly where they are not there."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "public"
FOLDER = Path(os.environ.get("OPENAI_SCHEMAS", BESIDE / "openai_schemas"))


@cache
def _validator(name: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads((FOLDER / f"{name}.json").read_text("utf-8")))


def require() -> None:
    """Skip the test where OpenAI's schemas are absent."""
    if not FOLDER.is_dir():
        pytest.skip(
            "OPENAI'S OFFICIAL SCHEMAS ARE ABSENT: set OPENAI_SCHEMAS to their folder; answers are not validated"
        )


def check(name: str, value: Any) -> None:
    """Assert that `value` is what OpenAI's schema `name` describes."""
    faults = [f"{error.json_path}: {error.message[:200]}" for error in _validator(name).iter_errors(value)]
    assert not faults, (faults, value)
