"""Tiny real models for tests, and the orders that load them."""

from pathlib import Path

import pytest

from tests.tiny_gguf import make

CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
PLAIN_TEMPLATE = (
    "{%- for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)

pytest.importorskip("xllamacpp", reason="xllamacpp is not installed: nothing of the local models can be run")


def order(path: Path, name: str = "tiny", **changes: object) -> dict:
    made = {"path": str(path), "name": name, "size": path.stat().st_size, "context": 2048, "slots": 2, "threads": 1}
    return {**made, **changes}


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """A folder with real models: tiny (greets), loop (never ends), tool (calls get_weather), plain (the same, but its
    template knows no tools), noise (random), and bad.gguf, which is cut off.
    """
    folder = tmp_path_factory.mktemp("models")
    make(folder / "tiny.gguf")
    make(folder / "loop.gguf", script="one two three four five six seven eight nine ten ", loop=True)
    make(folder / "tool.gguf", script=CALL)
    make(folder / "plain.gguf", script=CALL, chat_template=PLAIN_TEMPLATE)
    make(folder / "noise.gguf", mode="random", seed=7)
    (folder / "bad.gguf").write_bytes((folder / "tiny.gguf").read_bytes()[:60_000])
    return folder
