"""What the shipped opencode.json, and the described system's own, make of each model name."""

import pytest

from app.config import ROOT, Settings
from app.utils.model_resolver import default_name, list_models, resolve_model

DEFAULT_BASE = "https://generativelanguage.googleapis.com/v1beta/openai/"


@pytest.fixture(scope="module")
def shipped():
    return Settings.load({"OPENCODE_CONFIG": str(ROOT / "opencode.json"), "GEMINI_API_KEY": "g"}, dotenv=False)


@pytest.mark.parametrize(
    ("name", "litellm_model", "engine"),
    (
        ("local-model", "openai/gemini-2.5-flash", "litellm"),
        ("default", "openai/gemini-2.5-flash", "litellm"),
        ("gpt-3.5-turbo", "openai/gemini-2.5-flash", "litellm"),
        ("gpt-4", "openai/gemini-2.5-pro", "litellm"),
        ("gemini-3-flash-preview", "openai/gemini-3-flash-preview", "litellm"),
        ("gemini-3.1-pro-preview", "openai/gemini-3.1-pro-preview", "litellm"),
        ("mock", "openai/mock", "mock"),
        ("Local Provider/mock", "openai/mock", "mock"),
        ("llama3.1-8B", "openai/llama3.1-8B", "chatjimmy"),
        ("Local Provider/llama3.1-8B", "openai/llama3.1-8B", "chatjimmy"),
        ("openai/gpt-oss-20b", "groq/openai/gpt-oss-20b", "litellm"),
        ("Local Provider/openai/gpt-oss-120b", "groq/openai/gpt-oss-120b", "litellm"),
        ("groq/gpt-oss-20b", "groq/openai/gpt-oss-20b", "litellm"),
        ("gpt-oss-20b", "openai/openai/gpt-oss-20b", "harmony"),
        ("Local Provider/gpt-oss-120b", "openai/openai/gpt-oss-120b", "harmony"),
    ),
)
def test_the_shipped_map(shipped, name, litellm_model, engine):
    target = resolve_model(name, shipped)
    assert (target.litellm_model, target.engine_name) == (litellm_model, engine)
    if target.provider_id == "gemini-relay":
        assert (target.base_url, target.key_source) == (DEFAULT_BASE, "env GEMINI_API_KEY")


def test_without_a_model_the_shipped_map_means_what_opencode_starts_with(shipped):
    assert default_name(shipped) == "local-model"


def test_the_described_systems_own_file():
    described = {
        "KTDS Model": {
            "api": "https://generativelanguage.googleapis.com",
            "options": {"baseURL": DEFAULT_BASE, "apiKey": "your-api-key-here"},
            "models": {"gemini-3-flash-preview": {"name": "Gemini 3 Flash"}},
        },
        "Local Provider": {
            "api": "http://localhost:8000",
            "options": {"baseURL": "http://localhost:8000"},
            "models": {"local-model": {"name": "Local Model"}},
        },
    }
    settings = Settings.load({"GEMINI_API_KEY": "g"}, dotenv=False, opencode={"provider": described})
    for name in ("gemini-3-flash-preview", "local-model", "KTDS Model/gemini-3-flash-preview"):
        target = resolve_model(name, settings)
        assert (target.litellm_model, target.api_key) == ("openai/gemini-3-flash-preview", "g")


def test_model_name_and_port_leave_the_shipped_aliases_sound():
    path = str(ROOT / "opencode.json")
    environ = {"OPENCODE_CONFIG": path, "MODEL_NAME": "mock", "PORT": "9000", "GEMINI_API_BASE": "http://relay.corp/v1"}
    settings = Settings.load(environ, dotenv=False)
    assert resolve_model("local-model", settings).engine_name == "mock"
    assert resolve_model("gpt-4", settings).base_url == "http://relay.corp/v1"
    assert [info.id for info in list_models(settings) if info.alias_of] == [
        "local-model",
        "default",
        "gpt-3.5-turbo",
        "gpt-4",
    ]
