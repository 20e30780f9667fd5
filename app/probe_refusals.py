"""Which of many things an upstream refuses, found with few questions: by what its refusal names, else by halving."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

Group = Sequence[str]
Answer = tuple[bool | None, Collection[str]]  # taken (None: no telling), and which ones the refusal names

# One keyword each, as agents send them; what stands under "" belongs to the top of the schema.
SCHEMAS: dict[str, dict[str, Any]] = {
    "$schema": {"": {"$schema": "https://json-schema.org/draft/2020-12/schema"}},
    "additionalProperties": {"": {"additionalProperties": False}},
    "$ref": {"": {"$defs": {"word": {"type": "string"}}}, "$ref": "#/$defs/word"},
    "const": {"type": "string", "const": "a"},
    "default": {"type": "string", "default": "a"},
    "title": {"type": "string", "title": "A"},
    "examples": {"type": "string", "examples": ["a"]},
    "pattern": {"type": "string", "pattern": "^a"},
    "minLength": {"type": "string", "minLength": 1},
    "format": {"type": "string", "format": "uri"},
    "exclusiveMinimum": {"type": "integer", "exclusiveMinimum": 0},
    "multipleOf": {"type": "integer", "multipleOf": 2},
    "maximum of 2^53": {"type": "integer", "maximum": 2**53 - 1},
    "minItems": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    "uniqueItems": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    "propertyNames": {"type": "object", "properties": {"a": {"type": "string"}}, "propertyNames": {"pattern": "^a"}},
    "patternProperties": {
        "type": "object", "properties": {"a": {"type": "string"}}, "patternProperties": {"^b": {"type": "string"}}
    },
    "oneOf": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
    "allOf": {"allOf": [{"type": "string"}]},
    "not": {"type": "string", "not": {"enum": ["a"]}},
    "list of types": {"type": ["string", "null"]},
    "null in anyOf": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "enum of numbers": {"type": "integer", "enum": [1, 2]},
    "empty object": {"type": "object", "properties": {}},
    "array without items": {"type": "array"},
    "no type": {"description": "anything"},
}
# How a refusal names what has no keyword of its own.
SIGNS = {
    "list of types": r"not repeating|name \W*type\b",
    "null in anyOf": r"\bnull\b",
    "enum of numbers": r"enum\[",
    "empty object": r"non-empty for OBJECT",
    "array without items": r"items: missing",
    "no type": r"must be specified when not using",
    "format": r"\bformat\b.{0,20}(only|unsupported|not supported)",
}

PARAMETERS: dict[str, Any] = {
    "frequency_penalty": 0.1, "presence_penalty": 0.1, "seed": 1, "store": False, "metadata": {"a": "b"}, "top_k": 40,
    "logit_bias": {}, "logprobs": False, "service_tier": "auto", "prompt_cache_key": "probe",
    "safety_identifier": "probe", "verbosity": "medium", "parallel_tool_calls": True, "user": "probe", "n": 1,
    "temperature": 0.7, "top_p": 0.9, "stop": ["\n\n\n"], "reasoning_effort": "low", "reasoning": {"effort": "low"},
    "thinking": {"type": "disabled"}, "prediction": {"type": "content", "content": "a"},
}  # fmt: skip


@dataclass
class Verdict:
    """What was found out; `unknown` is what no question was left for."""

    refused: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def find_refused(names: Group, ask: Callable[[Group], Answer], questions: int) -> Verdict:
    """Ask about groups of names, at most `questions` times, until each is known to be taken or refused.

    All at once first; what a refusal names goes out; where it names nothing, halving finds one and the rest is asked again.
    """
    verdict, pool = Verdict(), list(names)
    suspects: list[str] = []  # one of these is refused
    while pool and questions > 0:
        group, questions = suspects[: len(suspects) // 2] or pool, questions - 1
        taken, blamed = ask(group)
        named = [name for name in group if name in blamed]
        if taken is None:
            break
        if taken:
            verdict.accepted += group
            suspects = [name for name in suspects if name not in group]
        else:
            verdict.refused += named
            suspects = [] if named else list(group)
        if len(suspects) == 1:
            verdict.refused += suspects
            suspects = []
        pool = [name for name in pool if name not in verdict.accepted and name not in verdict.refused]
    verdict.unknown = pool
    return verdict


def schema_of(names: Group) -> dict[str, Any]:
    """Return a tool's parameters that use these keywords, one property each."""
    top: dict[str, Any] = {"type": "object", "properties": {}}
    for name in names:
        own = {keyword: value for keyword, value in SCHEMAS[name].items() if keyword}
        top |= SCHEMAS[name].get("", {})
        top["properties"][property_of(name)] = own or {"type": "string"}
    return top


def property_of(name: str) -> str:
    """Return the name of the property that uses a keyword."""
    return "p_" + re.sub(r"\W+", "_", name).strip("_").lower()


def blamed_keywords(group: Group, words: str) -> set[str]:
    """Return those of `group` that a refusal names: by keyword, else by property or its position."""
    named = {name for name in group if re.search(rf"name \W*{re.escape(name)}\W", words)}
    named |= {name for name in group if name in SIGNS and re.search(SIGNS[name], words)}
    if named:
        return named
    places = {int(place) for place in re.findall(r"parameters\.properties\[(\d+)\]", words)}
    return {n for place, n in enumerate(group) if place in places or re.search(rf"\b{property_of(n)}\b", words)}


def blamed_parameters(group: Group, words: str) -> set[str]:
    """Return those of `group` that a refusal names."""
    return {name for name in group if re.search(rf"(?<![\w.]){name}(?![\w])", words)}
