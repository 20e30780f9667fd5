"""What a model's name, npm package and host tell about its dialect: data and pure functions, no settings, no I/O."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

GEMINI, GPT_OSS, GROQ, OPENAI, MOCK = "gemini", "gpt-oss", "groq", "openai", "mock"

NEWEST_GENERATION = 3.1  # unknown or alias-like ids ("gemini-flash-latest") get the newest behaviour
DEFAULT_NPM = "@ai-sdk/openai-compatible"

# First match wins: gpt-oss on Groq speaks gpt-oss. Searched in the lower-cased id.
_NAMES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"gemini"), GEMINI),
    (re.compile(r"gpt[-_]?oss"), GPT_OSS),
)
_HOSTS: tuple[tuple[str, str], ...] = (
    ("generativelanguage.googleapis.com", GEMINI),
    ("api.groq.com", GROQ),
)

# npm package of the AI SDK -> LiteLLM's provider (keys: OpenCode's bundled providers; values: litellm.LlmProviders).
NPM_PROVIDERS: Mapping[str, str] = {
    DEFAULT_NPM: OPENAI,
    "@ai-sdk/openai": OPENAI,
    "@ai-sdk/google": GEMINI,
    "@ai-sdk/google-vertex": "vertex_ai",
    "@ai-sdk/google-vertex/anthropic": "vertex_ai",
    "@ai-sdk/anthropic": "anthropic",
    "@ai-sdk/groq": GROQ,
    "@ai-sdk/mistral": "mistral",
    "@ai-sdk/xai": "xai",
    "@ai-sdk/deepseek": "deepseek",
    "@ai-sdk/cohere": "cohere",
    "@ai-sdk/togetherai": "together_ai",
    "@ai-sdk/azure": "azure",
    "@ai-sdk/amazon-bedrock": "bedrock",
    "@ai-sdk/perplexity": "perplexity",
    "@ai-sdk/cerebras": "cerebras",
    "@ai-sdk/deepinfra": "deepinfra",
    "@ai-sdk/fireworks": "fireworks_ai",
    "@ai-sdk/vercel": "v0",
    "@ai-sdk/gateway": "vercel_ai_gateway",
    "@ai-sdk/baseten": "baseten",
    "@ai-sdk/replicate": "replicate",
    "@ai-sdk/huggingface": "huggingface",
    "@ai-sdk/moonshotai": "moonshot",
    "@openrouter/ai-sdk-provider": "openrouter",
    "ollama-ai-provider": "ollama_chat",
    "ollama-ai-provider-v2": "ollama_chat",
}

# Providers that OpenCode knows by their key alone (models.dev); used when neither npm nor an address is given.
KNOWN_PROVIDER_KEYS: Mapping[str, str] = {
    "openai": "@ai-sdk/openai",
    "google": "@ai-sdk/google",
    "google-vertex": "@ai-sdk/google-vertex",
    "anthropic": "@ai-sdk/anthropic",
    "groq": "@ai-sdk/groq",
    "mistral": "@ai-sdk/mistral",
    "xai": "@ai-sdk/xai",
    "deepseek": "@ai-sdk/deepseek",
    "cohere": "@ai-sdk/cohere",
    "togetherai": "@ai-sdk/togetherai",
    "azure": "@ai-sdk/azure",
    "amazon-bedrock": "@ai-sdk/amazon-bedrock",
    "perplexity": "@ai-sdk/perplexity",
    "cerebras": "@ai-sdk/cerebras",
    "deepinfra": "@ai-sdk/deepinfra",
    "fireworks-ai": "@ai-sdk/fireworks",
    "openrouter": "@openrouter/ai-sdk-provider",
}

# LiteLLM providers that take and return OpenAI's chat completions as they are, at {base}/chat/completions.
OPENAI_WIRE: frozenset[str] = frozenset(
    """openai custom_openai openai_like hosted_vllm litellm_proxy llamafile lm_studio docker_model_runner groq xai
    deepseek together_ai fireworks_ai deepinfra cerebras perplexity openrouter nvidia_nim sambanova moonshot dashscope
    nebius novita hyperbolic lambda_ai featherless_ai friendliai baseten v0 vercel_ai_gateway meta_llama""".split()
)

# Prefixes that make a model id LiteLLM's own ("gemini/…"). Providers whose name is also a common vendor part of an
# upstream id ("meta/llama-3" at NVIDIA, "github/…", "custom/…") are left out on purpose.
LITELLM_PREFIXES: frozenset[str] = OPENAI_WIRE | frozenset(
    """gemini vertex_ai vertex_ai_beta anthropic mistral codestral cohere cohere_chat azure azure_ai bedrock sagemaker
    sagemaker_chat ollama ollama_chat huggingface replicate databricks watsonx cloudflare ai21 ai21_chat snowflake
    predibase oci github_copilot text-completion-openai""".split()
)

# Hosts that serve other vendors' models under "vendor/model": there a prefix is part of the upstream's own id.
_RAW_ID_HOSTS = (
    "openrouter.ai",
    "api.groq.com",
    "integrate.api.nvidia.com",
    "api.together.xyz",
    "api.deepinfra.com",
    "router.huggingface.co",
    "ai-gateway.vercel.sh",
    "router.requesty.ai",
    "models.github.ai",
    "api.fireworks.ai",
)

# Engines that speak a protocol of their own. Options hold unless the map says otherwise: ChatJimmy knows no tools and
# answers with nothing above 28,000 characters of system prompt or about 6,000 tokens in all (probes of 2026-09).
# Harmony's names are identifiers, which its own renderer makes of any.
RAW_ID_ENGINES = ("chatjimmy", "harmony", "gguf", "replay")  # LiteLLM's prefixes mean nothing to them
TEXT_ENGINES = ("chatjimmy",)  # a format of the answer can only be asked for in words
EMULATION_OPTIONS = ("toolEmulation", "maxSystemCharacters", "maxPromptTokens")
RAW_ENGINE = "harmony"  # its usual address is TRANSFORMERS_URL
KEYLESS_ENGINES = (MOCK, "chatjimmy", "replay")  # there is no authentication: nobody's key goes there
ENGINE_ADDRESSES: Mapping[str, str] = {"chatjimmy": "https://chatjimmy.ai"}
ENGINE_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "chatjimmy": {"toolEmulation": True, "maxSystemCharacters": 28_000, "maxPromptTokens": 5_400},
    RAW_ENGINE: {"toolNamePattern": r"[^\x00-\x1f]{1,64}"},
}

# Where providers with OpenAI's dialect live, if the map does not say (litellm 1.106.2, get_llm_provider_logic.py).
WIRE_ADDRESSES: Mapping[str, str] = {
    GROQ: "https://api.groq.com/openai/v1",
    "xai": "https://api.x.ai/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "together_ai": "https://api.together.xyz/v1",
    "fireworks_ai": "https://api.fireworks.ai/inference/v1",
    "deepinfra": "https://api.deepinfra.com/v1/openai",
    "cerebras": "https://api.cerebras.ai/v1",
    "perplexity": "https://api.perplexity.ai",
    "openrouter": "https://openrouter.ai/api/v1",
    "moonshot": "https://api.moonshot.ai/v1",
    "baseten": "https://inference.baseten.co/v1",
    "v0": "https://api.v0.dev/v1",
    "vercel_ai_gateway": "https://ai-gateway.vercel.sh/v1",
}
_NPM_ADDRESSES = {"@ai-sdk/openai": "https://api.openai.com/v1"}  # of the default package nothing is known

# LiteLLM provider -> environment variables that usually hold its key, most usual first.
PROVIDER_KEYS: Mapping[str, tuple[str, ...]] = {
    GEMINI: ("GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY", "GOOGLE_API_KEY"),
    GROQ: ("GROQ_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "mistral": ("MISTRAL_API_KEY",),
    "xai": ("XAI_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "cohere": ("COHERE_API_KEY",),
    "together_ai": ("TOGETHER_API_KEY", "TOGETHERAI_API_KEY"),
    "azure": ("AZURE_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY",),
    "perplexity": ("PERPLEXITY_API_KEY",),
    "cerebras": ("CEREBRAS_API_KEY",),
    "deepinfra": ("DEEPINFRA_API_KEY",),
    "fireworks_ai": ("FIREWORKS_API_KEY",),
    "huggingface": ("HF_TOKEN",),
    "moonshot": ("MOONSHOT_API_KEY",),
    "nvidia_nim": ("NVIDIA_API_KEY",),
}
_HOST_KEYS: Mapping[str, tuple[str, ...]] = {
    "api.openai.com": ("OPENAI_API_KEY",),
    "generativelanguage.googleapis.com": ("GEMINI_API_KEY",),
    "api.groq.com": ("GROQ_API_KEY",),
    "openrouter.ai": ("OPENROUTER_API_KEY",),
    "api.anthropic.com": ("ANTHROPIC_API_KEY",),
    "api.mistral.ai": ("MISTRAL_API_KEY",),
    "api.x.ai": ("XAI_API_KEY",),
    "api.deepseek.com": ("DEEPSEEK_API_KEY",),
    "api.together.xyz": ("TOGETHER_API_KEY", "TOGETHERAI_API_KEY"),
    "api.cerebras.ai": ("CEREBRAS_API_KEY",),
    "api.deepinfra.com": ("DEEPINFRA_API_KEY",),
    "api.fireworks.ai": ("FIREWORKS_API_KEY",),
    "integrate.api.nvidia.com": ("NVIDIA_API_KEY",),
    "router.huggingface.co": ("HF_TOKEN",),
}

KEY_VARIABLES: frozenset[str] = frozenset(
    name for table in (PROVIDER_KEYS, _HOST_KEYS) for names in table.values() for name in names
)

_MULTIMODAL = {"input": ["text", "image", "pdf"], "output": ["text"]}
_LARGE = {"context": 1_000_000, "output": 65_536}

# The model map when there is no opencode.json at all: the shipped file in small.
BUILT_IN: Mapping[str, Any] = {
    "provider": {
        "gemini-relay": {
            "name": "Gemini relay",
            "options": {"baseURL": "{env:GEMINI_API_BASE}", "apiKey": "{env:GEMINI_API_KEY}"},
            "models": {
                key: {"name": name, "tool_call": True, "reasoning": True, "limit": _LARGE, "modalities": _MULTIMODAL}
                for key, name in (("gemini-2.5-flash", "Gemini 2.5 Flash"), ("gemini-2.5-pro", "Gemini 2.5 Pro"))
            },
        },
        "mock": {"name": "Built-in mock", "options": {"engine": MOCK}, "models": {"mock": {"name": "Mock"}}},
        "Local Provider": {
            "options": {"engine": "alias"},
            "models": {
                "local-model": {"name": "Local Model"},
                "default": {"id": "gemini-2.5-flash"},
                "gpt-3.5-turbo": {"id": "gemini-2.5-flash"},
                "gpt-4": {"id": "gemini-2.5-pro"},
            },
        },
    }
}


def family_of(model_id: str, options: Mapping[str, Any] | None = None, base_url: str | None = None) -> str:
    """Name the dialect of a model: `options.dialect`, else by its id, else by the host; "openai" when nothing tells."""
    dialect = (options or {}).get("dialect")
    if isinstance(dialect, str) and dialect:
        return dialect.lower()
    name = model_id.lower()
    for pattern, family in _NAMES:
        if pattern.search(name):
            return family
    host = host_of(base_url)
    return next((family for known, family in _HOSTS if _is_host(host, known)), OPENAI)


def generation_of(model_id: str) -> float:
    """Read a Gemini generation from a model id: 2.5, 3.0, 3.1 …; NEWEST_GENERATION for ids that do not tell."""
    found = re.search(r"gemini[-_ ]?(\d{1,2}(?:\.\d{1,2})?)(?!\d)", model_id.lower())
    return float(found[1]) if found else NEWEST_GENERATION


def dialect_hint(model_id: str, provider: str, entry_family: object, base_url: str | None) -> str | None:
    """Name a dialect that id and host do not show: by the entry's models.dev `family`, else by LiteLLM's provider.

    What Groq's package calls is Groq's, gpt-oss behind another address too.
    """
    if provider == GROQ:
        return GROQ
    if family_of(model_id, None, base_url) != OPENAI:
        return None
    if isinstance(entry_family, str) and (family := family_of(entry_family)) != OPENAI:
        return family
    return provider if provider == GEMINI else None


def full_id(model: str, provider: str, base_url: str | None) -> str:
    """Return the id that the upstream knows: gpt-oss is `openai/gpt-oss-20b` at Groq, however the map spells it."""
    at_groq = provider == GROQ or _is_host(host_of(base_url), "api.groq.com")
    return f"openai/{model}" if at_groq and model.lower().startswith("gpt-oss") else model


def other_spelling(upstream_id: str) -> str:
    """Return the other name that an upstream id goes by, "" when there is none: the same without its vendor, gpt-oss
    also with it.
    """
    vendor, _, name = upstream_id.rpartition("/")
    if vendor:
        return name
    return f"openai/{name}" if family_of(name) == GPT_OSS else ""


def usual_address(provider: str, npm: str) -> str | None:
    """Return the address of a provider whose entry names none, None when it is not known."""
    return WIRE_ADDRESSES.get(provider) or _NPM_ADDRESSES.get(npm)


def npm_of(provider_id: str, npm: object, has_address: bool) -> str:
    """Return a provider's npm package: its own, else the one OpenCode knows for its key, else OpenCode's default."""
    if isinstance(npm, str) and npm:
        return npm
    return DEFAULT_NPM if has_address else KNOWN_PROVIDER_KEYS.get(provider_id, DEFAULT_NPM)


def split_model_id(model_id: str, npm: str, base_url: str | None, raw: bool | None = None) -> tuple[str, str]:
    """Split an upstream id into (LiteLLM provider, id without that provider's prefix).

    A prefix that is a LiteLLM provider is taken as LiteLLM's ("gemini/…"), except: on an npm package other than the
    default only when it names that package's own provider ("openai/gpt-oss-20b" is Groq's own id on @ai-sdk/groq);
    on hosts that serve "vendor/model" ids; and when `raw` is True. `raw=False` overrides the list of hosts.
    """
    provider = NPM_PROVIDERS.get(npm, OPENAI)
    prefix, slash, rest = model_id.partition("/")
    if raw is None:
        raw = npm in (DEFAULT_NPM, "") and any(_is_host(host_of(base_url), known) for known in _RAW_ID_HOSTS)
    if raw or not slash or not rest or prefix not in LITELLM_PREFIXES:
        return provider, model_id
    if npm != DEFAULT_NPM and prefix != provider:
        return provider, model_id
    return prefix, rest


def key_variables(provider: str, family: str, base_url: str | None) -> tuple[str, ...]:
    """List the environment variables that usually hold the key: by host, else by LiteLLM provider, else by family.

    A known host comes first, so that one vendor's key is never sent to another vendor.
    """
    host = host_of(base_url)
    for known, names in _HOST_KEYS.items():
        if _is_host(host, known):
            return names
    if provider in PROVIDER_KEYS:
        return PROVIDER_KEYS[provider]
    if family == GEMINI:
        return ("GEMINI_API_KEY",)
    return ("OPENAI_API_KEY",) if provider == OPENAI and not base_url else ()


def uses_default_relay(provider: str, family: str) -> bool:
    """Tell whether a provider without an address stands for the relay at GEMINI_API_BASE."""
    return provider == OPENAI and family == GEMINI


def litellm_address(provider: str, base_url: str | None) -> str | None:
    """Turn an AI SDK address into the one LiteLLM wants: it adds "/v1/messages" or "/models/…" by itself.

    Source: litellm 1.106.2 main.py (anthropic), llms/vertex_ai/vertex_llm_base.py (gemini), llms/mistral.
    """
    if not base_url or provider in OPENAI_WIRE:
        return base_url
    address = base_url.rstrip("/")
    tail = {"anthropic": "/v1", GEMINI: "/openai"}.get(provider, "")
    return address.removesuffix(tail) if tail else address


def client_surprise(name: str, family: str) -> str | None:
    """Say what coding agents read into a model name that is not meant, or None.

    OpenCode adds reasoningEffort and reasoningSummary wherever the id holds "gpt-5" (databricks/unity-gateway#85).
    """
    if family == GEMINI and "gpt-5" in name.lower():
        return "OpenCode adds GPT-5 parameters to any model whose name holds `gpt-5`; choose another alias"
    return None


def host_of(url: str | None) -> str:
    """Return the lower-case host of a URL, "" when there is none."""
    try:
        return (urlsplit(url or "").hostname or "").lower()
    except ValueError:
        return ""


def _is_host(host: str, known: str) -> bool:
    return host == known or host.endswith("." + known)
