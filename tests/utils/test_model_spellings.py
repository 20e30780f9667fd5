"""Names that are no map's own: `gpt-oss-20b` and `openai/gpt-oss-20b` are one model, whichever the map lists."""

import pytest

from app.config import Settings
from app.errors import ModelNotFound
from app.utils.model_resolver import list_models, resolve_model

GROQ = {"npm": "@ai-sdk/groq", "options": {"apiKey": "gsk-0123456789"}}


def settings_of(*models, environ=None, **more):
    providers = {"groq": GROQ | {"models": {model: {} for model in models}}, **more}
    return Settings.load(environ or {}, dotenv=False, opencode={"provider": providers})


@pytest.mark.parametrize("listed", ["gpt-oss-20b", "openai/gpt-oss-20b", "groq/openai/gpt-oss-20b"])
@pytest.mark.parametrize(
    "asked", ["gpt-oss-20b", "openai/gpt-oss-20b", "groq/gpt-oss-20b", "groq/openai/gpt-oss-20b", "OpenAI/GPT-OSS-20b"]
)
def test_both_spellings_are_one_model(listed, asked):
    target = resolve_model(asked, settings_of(listed))
    assert (target.provider_id, target.model_key, target.model) == ("groq", listed, "openai/gpt-oss-20b")
    assert target.litellm_model == "groq/openai/gpt-oss-20b"
    assert target.base_url == "https://api.groq.com/openai/v1"
    assert target.options["dialect"] == "groq"


def test_a_model_is_listed_once():
    assert [info.id for info in list_models(settings_of("openai/gpt-oss-20b"))] == ["openai/gpt-oss-20b"]


def test_a_name_of_the_map_goes_before_another_spelling():
    local = {"local": {"options": {"baseURL": "http://tf/v1"}, "models": {"gpt-oss-20b": {}}}}
    settings = settings_of("openai/gpt-oss-20b", **local)
    assert resolve_model("gpt-oss-20b", settings).provider_id == "local"
    assert resolve_model("openai/gpt-oss-20b", settings).provider_id == "groq"
    alias = {"me": {"options": {"engine": "alias"}, "models": {"llama": {"id": "first"}}}}
    settings = settings_of("first", "meta/llama", **alias)
    assert resolve_model("llama", settings).model == "first"
    assert resolve_model("LLAMA", settings).model == "first"


def test_a_spelling_goes_before_the_provider_of_every_name():
    settings = settings_of("openai/gpt-oss-20b", "*")
    assert resolve_model("gpt-oss-20b", settings).model_key == "openai/gpt-oss-20b"
    assert resolve_model("gpt-oss-120b", settings).model == "openai/gpt-oss-120b"
    assert resolve_model("llama3-8b-8192", settings).model == "llama3-8b-8192"


def test_aliases_and_the_default_model_may_use_the_other_spelling():
    alias = {"me": {"options": {"engine": "alias"}, "models": {"oss": {"id": "gpt-oss-20b"}, "plain": {}}}}
    settings = settings_of("other", "openai/gpt-oss-20b", environ={"MODEL_NAME": "gpt-oss-20b"}, **alias)
    for name in ("oss", "plain", "gpt-oss-20b"):
        assert resolve_model(name, settings).model_key == "openai/gpt-oss-20b"


def test_a_name_that_nobody_has_is_still_unknown():
    with pytest.raises(ModelNotFound):
        resolve_model("gpt-oss-120b", settings_of("openai/gpt-oss-20b"))
