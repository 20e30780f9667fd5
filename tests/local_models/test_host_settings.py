"""How a model is loaded, from what is known of it and from the settings."""

from pathlib import Path

import pytest

from app.config import Settings
from app.local_models.host_settings import OVERHEAD, fitted, order_for, usual_memory, usual_threads
from app.local_models.local_model import LocalModel


def model(**changes):
    known = {
        "name": "llama-8b",
        "path": Path("/models/a.gguf"),
        "paths": (Path("/models/a.gguf"),),
        "size_bytes": 5_000_000_000,
        "source": "folder",
        "context_length": 131_072,
        "cache_bytes_per_token": 1000,
    }
    return LocalModel(**{**known, **changes})


def order(found=None, **environ):
    return order_for(found or model(), Settings.load(environ, dotenv=False, opencode={}))


def test_the_usual_order():
    made = order()
    assert (made["name"], made["path"], made["context"], made["slots"]) == ("llama-8b", "/models/a.gguf", 8192, 4)
    assert made["size"] == 5_000_000_000 + 8192 * 1000 + OVERHEAD
    assert made["threads"] >= 1 and made["memory"] > 10**8 and made["adapters"] == []


@pytest.mark.parametrize(
    ("known", "wanted", "context"), [(4096, "8192", 4096), (131_072, "16384", 16_384), (None, "8192", 8192)]
)
def test_the_context_is_at_most_the_models(known, wanted, context):
    assert order(model(context_length=known), GATEWAY_LOCAL_CONTEXT=wanted)["context"] == context


def test_settings_count():
    made = order(
        model(lora=Path("/models/lora.gguf")),
        GATEWAY_LOCAL_MEMORY="8GB",
        GATEWAY_LOCAL_IDLE="60",
        GATEWAY_LOCAL_THREADS="3",
        GATEWAY_LOCAL_SLOTS="1",
        GATEWAY_LOCAL_WAIT="5",
    )
    assert (made["memory"], made["idle"], made["threads"], made["slots"], made["wait"]) == (8 * 1024**3, 60, 3, 1, 5)
    assert made["adapters"] == ["/models/lora.gguf"]


@pytest.mark.parametrize(
    ("memory", "known", "problem"),
    [
        ("6GB", None, None),
        ("4GB", None, "needs 4.7GB of memory; all local models together may take 4.0GB (GATEWAY_LOCAL_MEMORY)"),
        ("4GB", "is empty", "is empty"),
    ],
)
def test_a_model_larger_than_all_together_may_be_has_a_problem(memory, known, problem):
    settings = Settings.load({"GATEWAY_LOCAL_MEMORY": memory}, dotenv=False, opencode={})
    assert fitted(model(problem=known), settings).problem == problem


def test_a_cache_of_unknown_size_is_no_reason_to_refuse_a_model_unseen():
    settings = Settings.load({"GATEWAY_LOCAL_MEMORY": "500MB"}, dotenv=False, opencode={})
    small = model(size_bytes=1000, cache_bytes_per_token=None)
    assert fitted(small, settings).problem is None
    assert "needs" in (fitted(model(size_bytes=1000, cache_bytes_per_token=128 * 1024), settings).problem or "")


@pytest.mark.parametrize(("cores", "threads"), [(None, 1), (1, 1), (2, 1), (8, 7)])
def test_one_core_is_left_over(cores, threads):
    assert usual_threads(cores) == threads


def test_a_containers_limit_counts():
    whole = usual_memory({})
    assert usual_memory({"memory.max": "1000000000\n"}) == min(whole, 700_000_000)
    assert usual_memory({"memory.max": "max\n"}) == whole
