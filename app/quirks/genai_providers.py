"""What OpenTelemetry calls the provider of a model: its host if that tells, else LiteLLM's name for it, else the engine.

Names: `gen_ai.provider.name` of the semantic conventions for generative AI, 1.44. An unknown provider keeps its own name,
which the conventions allow.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

HOSTS: Mapping[str, str] = {
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.groq.com": "groq",
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.deepseek.com": "deepseek",
    "api.mistral.ai": "mistral_ai",
    "api.x.ai": "x_ai",
    "api.perplexity.ai": "perplexity",
    "openai.azure.com": "azure.ai.openai",
}
LITELLM_NAMES: Mapping[str, str] = {
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "mistral": "mistral_ai",
    "xai": "x_ai",
    "watsonx": "ibm.watsonx.ai",
    "cohere_chat": "cohere",
}
OWN_WIRES = frozenset({"litellm", "relay"})  # engines that speak a provider's own protocol; the others are one themselves


def genai_provider(base_url: str | None, litellm_model: str, engine: str) -> str:
    """Return the provider of a target, by its address, its id for LiteLLM and its engine."""
    host = _host(base_url)
    for known, name in HOSTS.items():
        if host == known or host.endswith((f".{known}", f"-{known}")):  # us-central1-aiplatform.…
            return name
    if engine not in OWN_WIRES:
        return engine
    provider = litellm_model.partition("/")[0]
    return LITELLM_NAMES.get(provider, provider)


def _host(url: str | None) -> str:
    try:
        return (urlsplit(url or "").hostname or "").lower()
    except ValueError:
        return ""
