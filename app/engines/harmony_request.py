"""What a server of raw completions is asked: the fields that say an OpenAI chat body in Harmony, and its address.

How servers treat the fields, read in their sources (vLLM 0.26, llama-server of 2026-10, transformers 5.23):
- vLLM hides control tokens unless `skip_special_tokens` is false, and generates 16 tokens without `max_tokens`.
- llama-server hides them unless started with `--special` or told `preserved_tokens`. Both pass over unknown fields.
- transformers always hides them, and refuses unknown fields with 422.
- All stop on <|return|> and <|call|> by the model's own settings, and cut them off the text.
A stop sequence is found by the server in the raw text, so in reasoning and in calls too. Harmony's own ends are therefore
named by their tokens alone: as texts they would cut each file in which they stand.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from app.emulation import harmony_render, harmony_simple
from app.emulation.harmony_names import Names
from app.emulation.harmony_simple_text import SimpleReader
from app.emulation.harmony_text import HarmonyReader
from app.engines.completions_wire import TextReader
from app.errors import ConfigError
from app.utils.model_resolver import Target

MARKERS = ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|return|>", "<|call|>")
COPIED = tuple(
    """temperature top_p seed presence_penalty frequency_penalty logit_bias user top_k min_p repetition_penalty""".split()
)
ENDS = (200002, 200012)  # the tokens <|return|> and <|call|>
MOST_TOKENS = 4096  # where neither the request nor the map names a limit
# What makes servers send the control tokens and the usage. A server that refuses one of these gets it no more.
HINTS: Mapping[str, Any] = {
    "skip_special_tokens": False,
    "spaces_between_special_tokens": False,
    "add_special_tokens": False,  # no second beginning before the prompt's own
    "preserved_tokens": list(MARKERS),
    "stop_token_ids": list(ENDS),
    "stream_options": {"include_usage": True},
}


class MakeReader(Protocol):
    """Makes the reader of one choice; `declared` maps the names that were sent to the client's, `tools` is OpenAI's list."""

    def __call__(self, declared: Mapping[str, str], *, tools: Sequence[Mapping[str, Any]]) -> TextReader: ...


class Dialect(NamedTuple):
    """How a prompt is written and its completion is read. `prefill` begins the one call that must be made, else "".

    `stops` are texts that end an answer, `hints` what is asked of servers besides.
    """

    render: Callable[[Mapping[str, Any], str, Names], str]
    prefill: Callable[[Mapping[str, Any], Names], str]
    reader: MakeReader
    stops: tuple[str, ...]
    hints: Mapping[str, Any]


DIALECTS: Mapping[str, Dialect] = {
    "harmony": Dialect(
        lambda body, date, names: harmony_render.render(body, date=date, names=names),
        harmony_render.prefill,
        HarmonyReader,
        (),
        HINTS,
    ),
    "simple": Dialect(
        lambda body, date, names: harmony_simple.render(body, names=names),
        harmony_simple.prefill,
        SimpleReader,
        ("<|end|>", "<|return|>"),
        {name: value for name, value in HINTS.items() if name != "stop_token_ids"},  # any model may speak it
    ),
}


def endpoint(target: Target) -> str:
    """Return the URL of the completions below the target's address; one without a path gets /v1. Raises ConfigError."""
    if not target.base_url:
        raise ConfigError(
            f"The provider `{target.provider_id}` has no address: set TRANSFORMERS_URL (http://localhost:8000), "
            "or options.baseURL in opencode.json."
        )
    base, mark, query = target.base_url.partition("?")
    base = base.rstrip("/").removesuffix("/completions").removesuffix("/chat")
    if "/" not in base.partition("://")[2]:
        base += "/v1"
    return f"{base}/completions{mark}{query}"


def request_of(body: Mapping[str, Any], target: Target) -> tuple[dict[str, Any], Callable[[], TextReader]]:
    """Return the fields of the request for `body`, and what makes the reader of one choice. Raises ConfigError."""
    options = target.options
    dialect = DIALECTS.get(str(options.get("harmonyDialect") or "harmony"))
    if dialect is None:
        raise ConfigError(f"options.harmonyDialect must be one of {', '.join(DIALECTS)}.")
    own = options.get("completionFields") or {}
    if not isinstance(own, Mapping):
        raise ConfigError("options.completionFields must be an object of request fields.")
    names = harmony_render.names_for(body)
    begun = dialect.prefill(body, names)
    prompt = dialect.render(body, str(options.get("harmonyDate") or time.strftime("%Y-%m-%d")), names) + begun
    fields: dict[str, Any] = {"model": model_id(target), "prompt": prompt, "stream": True}
    fields["max_tokens"] = body.get("max_completion_tokens") or body.get("max_tokens") or _most(target)
    fields |= {name: body[name] for name in COPIED if body.get(name) is not None}
    if isinstance(body.get("n"), int) and body["n"] > 1:
        fields["n"] = body["n"]
    fields["stop"] = list(dict.fromkeys([*_texts(body.get("stop")), *dialect.stops])) or None
    whole = {**fields, **dialect.hints, **own}
    given = body.get("tools")
    tools = [tool for tool in given if isinstance(tool, Mapping)] if isinstance(given, list) else []

    def make_reader() -> TextReader:
        reader = dialect.reader(names.back, tools=tools)
        reader.feed(begun)
        return reader

    return {name: value for name, value in whole.items() if value is not None}, make_reader


def model_id(target: Target) -> str:
    """Return the id as the map has it: no LiteLLM takes part, so `openai/` is the model's own name, not a prefix."""
    own = target.entry.get("id")
    return own if isinstance(own, str) and own else target.model_key


def _texts(stop: object) -> list[str]:
    given = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    return [text for text in given if isinstance(text, str) and text]


def _most(target: Target) -> int:
    most = target.limit.get("output")
    return most if isinstance(most, int) and most > 0 else MOST_TOKENS
