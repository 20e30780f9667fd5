"""Final form of calls: ids, names, arguments and signatures that any agent takes."""

import json
from typing import Any

import pytest

from app.quirks.ledger import Ledger
from app.quirks.report import Report
from app.quirks.sound_calls import MINTED, Finisher, mint_id
from app.quirks.tool_calls import Assembler

TOOLS = [{"type": "function", "function": {"name": name}} for name in ("glob", "read", "Bash")]


def finish(
    *entries: dict, body: dict | None = None, renames: dict | None = None, ids: str = "keep", modes: dict | None = None
) -> tuple[list[dict], Report, list[tuple[str, str]], str | None]:
    report, signatures = Report(), []
    ledger = Ledger(report, modes)
    assembler = Assembler(ledger, "choices[0]")
    assembler.absorb(entries)
    finisher = Finisher(body or {"tools": TOOLS}, renames or {}, ids, ledger, lambda *pair: signatures.append(pair))
    batch = finisher.finish(assembler.calls, 0, "choices[0]", streamed=True)
    return batch.calls, report, signatures, batch.broken


def call(name: str = "read", arguments: Any = "{}", id: str | None = "a", **more: Any) -> dict:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


@pytest.mark.parametrize("given", ["", None, "x" * 65, "old"])
def test_an_id_that_cannot_stay_is_minted(given: str | None) -> None:
    body = {"messages": [{"role": "assistant", "tool_calls": [{"id": "old"}]}, "odd", {"tool_calls": None}]}
    calls, report, _, _ = finish(call(id=given), body=body)
    assert MINTED.fullmatch(calls[0]["id"])
    assert report.counts["tool.id"] == 1


def test_ids_are_unique_in_a_turn_and_sound_ones_stay() -> None:
    calls, _, _, _ = finish(call(arguments='{"a":1}', id="x"), call(arguments='{"a":2}', id="x"), call(id="y"))
    ids = [found["id"] for found in calls]
    assert ids[0] == "x" and ids[2] == "y" and len(set(ids)) == 3
    assert [found["index"] for found in calls] == [0, 1, 2]


def test_ids_can_be_minted_always_and_are_then_left_alone() -> None:
    first, _, _, _ = finish(call(id="short"), ids="mint")
    again, report, _, _ = finish(first[0], ids="mint")
    assert again[0]["id"] == first[0]["id"] and "tool.id" not in report.counts


def test_minted_ids_differ() -> None:
    minted = {mint_id() for _ in range(200)}
    assert len(minted) == 200 and all(MINTED.fullmatch(one) for one in minted)


NAMES = {
    "default_api:glob": "glob",
    "default_api.read": "read",
    "functions.read": "read",
    "bash": "Bash",
    "READ": "read",
    "read<|channel|>commentary": "read",
    "short_1a2b": "a very long name",
    "default_api:short_1a2b": "a very long name",
    "unknown": "unknown",
    "default_api:unknown": "default_api:unknown",
    "read": "read",
}


@pytest.mark.parametrize(("given", "expected"), NAMES.items())
def test_names_are_those_that_were_offered(given: str, expected: str) -> None:
    calls, report, _, _ = finish(call(given), renames={"short_1a2b": "a very long name"})
    assert calls[0]["function"]["name"] == expected
    assert ("tool.name" in report.counts) == (given != expected)


def test_type_is_set_and_nothing_else_is_added() -> None:
    calls, _, _, _ = finish({"index": 0, "id": "a", "function": {"name": "read", "arguments": "{}"}})
    assert calls == [{"index": 0, "id": "a", "type": "function", "function": {"name": "read", "arguments": "{}"}}]


def test_glued_arguments_become_calls_of_their_own() -> None:
    calls, report, _, _ = finish(call(arguments='{"a":1}{"a":2}'))
    assert [json.loads(found["function"]["arguments"]) for found in calls] == [{"a": 1}, {"a": 2}]
    assert calls[0]["id"] == "a" and MINTED.fullmatch(calls[1]["id"])
    assert report.counts["tool.arguments"] == 1


def test_a_call_that_cannot_be_read_is_left_out_and_named() -> None:
    calls, _, _, broken = finish(call(arguments='{"a":1}'), call(arguments='{"b', id="b"))
    assert len(calls) == 1 and broken and "middle" in broken
    assert finish({"id": "a", "function": {"arguments": "{}"}})[3] == "a call without a name"


@pytest.mark.parametrize(
    "carrier",
    [
        {"extra_content": {"google": {"thought_signature": "S"}}},
        {"provider_specific_fields": {"thought_signature": "S"}},
        {"thought_signature": "S"},
        {"id": "a__thought__S"},
    ],
)
def test_signatures_are_handed_over_with_the_final_id(carrier: dict) -> None:
    calls, _, signatures, _ = finish({**call(), **carrier})
    ((call_id, signature),) = signatures
    assert signature == "S"
    assert MINTED.fullmatch(call_id), "a short id would collide with another conversation's in the store"
    assert calls[0]["id"] == call_id and calls[0]["extra_content"] == {"google": {"thought_signature": "S"}}


def test_a_signature_goes_with_a_minted_id() -> None:
    calls, _, signatures, _ = finish(call(id="", extra_content={"vertex": {"thought_signature": "S"}}))
    assert signatures == [(calls[0]["id"], "S")]
    assert calls[0]["extra_content"] == {"vertex": {"thought_signature": "S"}}


def test_a_custom_call_passes_as_it_is() -> None:
    calls, _, _, _ = finish({"id": "a", "type": "custom", "custom": {"name": "patch", "input": "not JSON"}})
    assert calls == [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "patch", "input": "not JSON"}}]


def test_rules_can_be_switched_off() -> None:
    calls, report, _, _ = finish(call("bash", '{"a":1}x', id=""), modes={"tool": "off"})
    assert (calls[0]["id"], calls[0]["function"]) == ("", {"name": "bash", "arguments": '{"a":1}x'})
    assert not [rule for rule in report.counts if rule.startswith("tool.")]
