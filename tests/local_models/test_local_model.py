"""A model in one line for people."""

from pathlib import Path

import pytest

from app.local_models.local_model import LocalModel


def model(**how):
    return LocalModel(name="a", path=Path("a.gguf"), paths=(Path("a.gguf"),), size_bytes=1, source="folder", **how)


@pytest.mark.parametrize(("how", "line", "model_type"), [
    ({}, "a: GGUF model (folder)", "unknown"),
    ({"architecture": "llama", "parameter_count": "8B", "quantization": "Q4_0", "context_length": 8192, "title": "Tiny"},
     "Tiny: llama, 8B, Q4_0, 8192 tokens (folder)", "llama"),
    ({"problem": "is empty"}, "a: GGUF model (folder); cannot be used: is empty", "unknown"),
])
def test_the_description(how, line, model_type):
    assert model(**how).description == line
    assert model(**how).model_type == model_type


def test_a_model_is_a_value():
    assert model() == model()
    assert hash(model()) == hash(model())
    with pytest.raises(AttributeError):
        model().name = "b"
