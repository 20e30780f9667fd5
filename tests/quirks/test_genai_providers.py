"""OpenTelemetry's names of providers, by address, LiteLLM's name and engine."""

import pytest

from app.quirks.genai_providers import genai_provider


@pytest.mark.parametrize(
    ("base_url", "litellm_model", "engine", "name"),
    (
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "openai/gemini-2.5-flash", "relay", "gcp.gemini"),
        ("https://us-central1-aiplatform.googleapis.com/v1", "vertex_ai/gemini-2.5-pro", "litellm", "gcp.vertex_ai"),
        ("https://API.GROQ.com/openai/v1", "groq/openai/gpt-oss-20b", "litellm", "groq"),
        ("https://mine.openai.azure.com/", "azure/gpt-5", "litellm", "azure.ai.openai"),
        ("https://notapi.groq.com.example/v1", "openai/m", "relay", "openai"),
        ("https://relay.example/v1", "openai/gemini-2.5-flash", "litellm", "openai"),
        (None, "gemini/gemini-2.5-flash", "litellm", "gcp.gemini"),
        (None, "anthropic/claude-sonnet-5", "litellm", "anthropic"),
        (None, "bedrock/x", "litellm", "aws.bedrock"),
        (None, "openrouter/a/b", "litellm", "openrouter"),
        (None, "openai/mock", "mock", "mock"),
        (None, "local/tiny", "gguf", "gguf"),
        ("http://[broken/v1", "openai/m", "relay", "openai"),
    ),
)
def test_the_provider_of_a_target(base_url: str | None, litellm_model: str, engine: str, name: str) -> None:
    assert genai_provider(base_url, litellm_model, engine) == name
