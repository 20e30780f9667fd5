import pytest

from app.quirks import families
from app.quirks.families import DEFAULT_NPM, NEWEST_GENERATION

NEWEST = NEWEST_GENERATION


@pytest.mark.parametrize(
    ("model", "family", "generation"),
    (
        ("gemini-2.0-flash", "gemini", 2.0),
        ("gemini-2.5-flash", "gemini", 2.5),
        ("gemini-2.5-flash-lite-preview-09-2025", "gemini", 2.5),
        ("gemini-2.5-pro", "gemini", 2.5),
        ("gemini-3-flash-preview", "gemini", 3.0),
        ("gemini-3-pro-preview-11-2025", "gemini", 3.0),
        ("gemini-3.1-pro-preview", "gemini", 3.1),
        ("gemini-3.8-flash", "gemini", 3.8),
        ("gemini-4-ultra", "gemini", 4.0),
        ("google/gemini-3.1-pro-preview", "gemini", 3.1),
        ("models/gemini-2.5-flash", "gemini", 2.5),
        ("Gemini-2.5-Pro", "gemini", 2.5),
        ("gemini-flash-latest", "gemini", NEWEST),
        ("gemini-exp-1206", "gemini", NEWEST),
        ("gemini-20260101", "gemini", NEWEST),
        ("company-gemini", "gemini", NEWEST),
        ("openai/gpt-oss-20b", "gpt-oss", NEWEST),
        ("gpt-oss:120b", "gpt-oss", NEWEST),
        ("unsloth/GPT_OSS-20b-GGUF", "gpt-oss", NEWEST),
        ("llama-3.3-70b-versatile", "openai", NEWEST),
        ("gpt-4o", "openai", NEWEST),
        ("mock", "openai", NEWEST),
    ),
)
def test_names_tell_family_and_generation(model, family, generation):
    assert families.family_of(model) == family
    assert families.generation_of(model) == generation


@pytest.mark.parametrize(
    ("model", "options", "base_url", "family"),
    (
        ("pro", {"dialect": "Gemini"}, None, "gemini"),
        ("gemini-2.5-pro", {"dialect": "openai"}, None, "openai"),
        ("llama-3.3-70b", {}, "https://api.groq.com/openai/v1", "groq"),
        ("openai/gpt-oss-20b", {}, "https://api.groq.com/openai/v1", "gpt-oss"),
        ("gemma-3-27b-it", {}, "https://generativelanguage.googleapis.com/v1beta/openai/", "gemini"),
        ("llama", {}, "https://notapi.groq.com.evil/v1", "openai"),
        ("llama", {}, "http://[broken", "openai"),
    ),
)
def test_options_then_name_then_host(model, options, base_url, family):
    assert families.family_of(model, options, base_url) == family


@pytest.mark.parametrize(
    ("model", "npm", "base_url", "raw", "expected"),
    (
        ("gemini-2.5-flash", DEFAULT_NPM, "http://relay/v1", None, ("openai", "gemini-2.5-flash")),
        ("gemini/gemini-2.5-flash", DEFAULT_NPM, None, None, ("gemini", "gemini-2.5-flash")),
        ("groq/llama", DEFAULT_NPM, "http://relay/v1", None, ("groq", "llama")),
        ("openai/gpt-4o", DEFAULT_NPM, "http://relay/v1", None, ("openai", "gpt-4o")),
        ("openai/gpt-4o", DEFAULT_NPM, "http://relay/v1", True, ("openai", "openai/gpt-4o")),
        ("openai/gpt-4o", DEFAULT_NPM, "https://openrouter.ai/api/v1", None, ("openai", "openai/gpt-4o")),
        ("openai/gpt-4o", DEFAULT_NPM, "https://openrouter.ai/api/v1", False, ("openai", "gpt-4o")),
        ("openai/gpt-oss-20b", DEFAULT_NPM, "https://api.groq.com/openai/v1", None, ("openai", "openai/gpt-oss-20b")),
        ("openai/gpt-oss-20b", "@ai-sdk/groq", None, None, ("groq", "openai/gpt-oss-20b")),
        ("groq/llama", "@ai-sdk/groq", None, None, ("groq", "llama")),
        ("google/gemini-2.5-pro", DEFAULT_NPM, "http://relay/v1", None, ("openai", "google/gemini-2.5-pro")),
        ("meta/llama-3.1-70b", DEFAULT_NPM, "http://relay/v1", None, ("openai", "meta/llama-3.1-70b")),
        ("meta-llama/llama-3", "@openrouter/ai-sdk-provider", None, None, ("openrouter", "meta-llama/llama-3")),
        ("gemini-2.5-pro", "@ai-sdk/google", None, None, ("gemini", "gemini-2.5-pro")),
        ("gemini-2.5-pro", "@ai-sdk/google-vertex", None, None, ("vertex_ai", "gemini-2.5-pro")),
        ("claude", "@ai-sdk/anthropic", None, None, ("anthropic", "claude")),
        ("m", "@corp/own-provider", None, None, ("openai", "m")),
        ("openai/", DEFAULT_NPM, None, None, ("openai", "openai/")),
    ),
)
def test_model_ids_are_split(model, npm, base_url, raw, expected):
    assert families.split_model_id(model, npm, base_url, raw) == expected


def test_every_provider_of_the_tables_is_one_of_litellms():
    import litellm

    known = {provider.value for provider in litellm.LlmProviders}
    named = set(families.NPM_PROVIDERS.values()) | families.LITELLM_PREFIXES | set(families.PROVIDER_KEYS)
    assert named - known == set()
    assert set(families.KNOWN_PROVIDER_KEYS.values()) <= set(families.NPM_PROVIDERS)


@pytest.mark.parametrize(
    ("provider", "family", "base_url", "first"),
    (
        ("openai", "gemini", "http://relay.corp/v1", "GEMINI_API_KEY"),
        ("gemini", "gemini", None, "GEMINI_API_KEY"),
        ("openai", "gemini", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
        ("groq", "gpt-oss", None, "GROQ_API_KEY"),
        ("openai", "gpt-oss", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
        ("openai", "openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
        ("openai", "openai", None, "OPENAI_API_KEY"),
        ("openai", "openai", "http://10.0.0.5:8001/v1", None),
        ("anthropic", "openai", None, "ANTHROPIC_API_KEY"),
    ),
)
def test_usual_key_variables(provider, family, base_url, first):
    assert next(iter(families.key_variables(provider, family, base_url)), None) == first


@pytest.mark.parametrize(
    ("provider", "given", "wanted"),
    (
        ("openai", "http://r/v1beta/openai/", "http://r/v1beta/openai/"),
        ("anthropic", "https://api.anthropic.com/v1", "https://api.anthropic.com"),
        ("anthropic", "https://api.anthropic.com", "https://api.anthropic.com"),
        ("gemini", "https://g/v1beta/", "https://g/v1beta"),
        ("gemini", "https://g/v1beta/openai/", "https://g/v1beta"),
        ("mistral", "https://api.mistral.ai/v1/", "https://api.mistral.ai/v1"),
        ("gemini", None, None),
    ),
)
def test_addresses_follow_litellms_habits(provider, given, wanted):
    assert families.litellm_address(provider, given) == wanted


@pytest.mark.parametrize(
    ("args", "hint"),
    (
        (("pro", "openai", "gemini-pro", "http://r/v1"), "gemini"),
        (("llama", "groq", None, None), "groq"),
        (("openai/gpt-oss-20b", "groq", None, "http://r/v1"), "groq"),
        (("openai/gpt-oss-20b", "openai", None, "http://r/v1"), None),
        (("gemini-2.5-pro", "gemini", None, None), None),
        (("pro", "openai", None, "http://r/v1"), None),
    ),
)
def test_dialects_that_only_the_entry_tells(args, hint):
    assert families.dialect_hint(*args) == hint


@pytest.mark.parametrize(
    ("model", "provider", "base_url", "expected"),
    (
        ("gpt-oss-20b", "groq", "http://r/v1", "openai/gpt-oss-20b"),
        ("gpt-oss-120b", "openai", "https://api.groq.com/openai/v1", "openai/gpt-oss-120b"),
        ("openai/gpt-oss-20b", "groq", None, "openai/gpt-oss-20b"),
        ("llama3-8b-8192", "groq", None, "llama3-8b-8192"),
        ("gpt-oss-20b", "openai", "http://r/v1", "gpt-oss-20b"),
    ),
)
def test_groq_wants_the_vendor_before_gpt_oss(model, provider, base_url, expected):
    assert families.full_id(model, provider, base_url) == expected


@pytest.mark.parametrize(
    ("upstream_id", "other"),
    (
        ("openai/gpt-oss-20b", "gpt-oss-20b"),
        ("gpt-oss-20b", "openai/gpt-oss-20b"),
        ("meta-llama/llama-3", "llama-3"),
        ("accounts/fireworks/models/llama", "llama"),
        ("gemini-2.5-pro", ""),
        ("openai/", ""),
        ("*", ""),
    ),
)
def test_other_spellings(upstream_id, other):
    assert families.other_spelling(upstream_id) == other


@pytest.mark.parametrize(
    ("provider", "npm", "address"),
    (
        ("groq", "@ai-sdk/groq", "https://api.groq.com/openai/v1"),
        ("groq", DEFAULT_NPM, "https://api.groq.com/openai/v1"),
        ("openai", "@ai-sdk/openai", "https://api.openai.com/v1"),
        ("openai", DEFAULT_NPM, None),
        ("anthropic", "@ai-sdk/anthropic", None),
    ),
)
def test_where_providers_live_that_name_no_address(provider, npm, address):
    assert families.usual_address(provider, npm) == address
    assert set(families.WIRE_ADDRESSES) <= families.OPENAI_WIRE


@pytest.mark.parametrize(
    ("provider_id", "npm", "has_address", "expected"),
    (
        ("anthropic", None, False, "@ai-sdk/anthropic"),
        ("anthropic", None, True, DEFAULT_NPM),
        ("anthropic", "@ai-sdk/openai", False, "@ai-sdk/openai"),
        ("corp", None, False, DEFAULT_NPM),
    ),
)
def test_the_npm_package_of_a_provider(provider_id, npm, has_address, expected):
    assert families.npm_of(provider_id, npm, has_address) == expected


def test_gpt_5_in_the_name_of_a_gemini_model_is_a_surprise():
    assert "gpt-5" in families.client_surprise("my-GPT-5", "gemini")
    assert families.client_surprise("my-gpt-5", "openai") is None
    assert families.client_surprise("gpt-4", "gemini") is None
