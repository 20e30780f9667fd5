"""Scenarios about tool calls and finish reasons: the same turn, said in every odd way that was seen."""

from tests.scenarios.builder import Call, Odd
from tests.scenarios.table import GEMINI, ONE, PLAIN_MODEL, TWO, Expect, Scenario, turn


def calls_turn(
    name: str, model: str = PLAIN_MODEL, text: str = "", calls: tuple[Call, ...] = TWO, **odd: object
) -> Scenario:
    """Write a row of parallel calls with these oddities; both calls must arrive."""
    return turn(name, Odd(**odd), text, calls, model=model)  # type: ignore[arg-type]


TOOL_CALLS = (
    calls_turn("none"),
    calls_turn("idx0", index="zero"),
    calls_turn("idx0+one_chunk", index="zero", packing="one_chunk"),
    calls_turn("idx0+one_chunk+split_chunks", index="zero", packing="per_call"),
    calls_turn("no_index", index="missing"),
    calls_turn("no_index+one_chunk", index="missing", packing="one_chunk"),
    calls_turn("no_index+one_chunk+split_chunks", index="missing", packing="per_call"),
    calls_turn("one_chunk", packing="one_chunk"),
    calls_turn("one_chunk+split_chunks", packing="per_call"),
    calls_turn("one_chunk+finish_same_chunk", packing="one_chunk", finish_at="same"),
    calls_turn("empty_ids", ids="empty"),
    calls_turn("no_ids", ids="missing"),
    calls_turn("null_ids", ids="null"),
    calls_turn("dup_ids", ids="same"),
    calls_turn("dup_ids+no_index+split_chunks", ids="same", index="missing", packing="per_call"),
    calls_turn("empty_ids+no_index+one_chunk", ids="empty", index="missing", packing="one_chunk"),
    calls_turn("empty_ids+no_index+split_chunks", ids="empty", index="missing", packing="per_call"),
    calls_turn("empty_ids+idx0+split_chunks", ids="empty", index="zero", packing="per_call"),
    calls_turn("no_ids+no_index", ids="missing", index="missing"),
    calls_turn("args_object", arguments="object", packing="per_call"),
    calls_turn("args_object+one_chunk", arguments="object", packing="one_chunk"),
    calls_turn("args_empty", arguments="empty", packing="per_call", calls=(("read", {}),)),
    calls_turn("args_missing", arguments="missing", packing="per_call", calls=(("read", {}),)),
    calls_turn("args_null", arguments="null", packing="per_call", calls=(("read", {}),)),
    calls_turn("no_type", type=False),
    calls_turn("name_in_second_delta", name_at=1),
    calls_turn("name_repeated", repeat="name"),
    calls_turn("name_and_id_repeated", repeat="id name"),
    calls_turn("name_and_id_repeated+no_index", repeat="id name", index="missing"),
    calls_turn("name_repeated+idx0", repeat="id name", index="zero"),
    calls_turn("default_api_colon", GEMINI, calls=ONE, prefix="default_api:"),
    calls_turn("default_api_dot", GEMINI, calls=ONE, prefix="default_api."),
    calls_turn("finish_stop", finish="stop"),
    calls_turn("finish_stop_same_chunk", finish="stop", finish_at="same", packing="one_chunk"),
    calls_turn("finish_stop_later_role_only", finish="stop", finish_at="role_only", packing="per_call"),
    calls_turn("finish_STOP_with_calls", finish="STOP", packing="per_call"),
    calls_turn("finish_function_call_with_calls", finish="function_call"),
    calls_turn("finish_every_chunk_with_calls", finish="stop", finish_at="every", packing="per_call"),
    calls_turn("no_finish_with_calls", finish_at="never"),
    calls_turn("null_finish_with_calls", finish=None),
    calls_turn("text_and_calls", text="I shall write two files."),
    calls_turn("no_content_key", content_key=False),
    calls_turn("role_every", role="every"),
    calls_turn("thought_sig", GEMINI, signatures=True),
    calls_turn("thought_sig+one_chunk", GEMINI, signatures=True, packing="one_chunk"),
    calls_turn("reasoning_and_calls", reasoning="Two files."),
    calls_turn("big_args", calls=(("write", {"path": "a.txt", "content": "x" * 100_000}),), packing="per_call"),
    calls_turn(
        "gemini",
        GEMINI,
        ids="empty",
        index="missing",
        packing="per_call",
        finish="stop",
        finish_at="role_only",
        role="every",
        usage_at="every",
        content_key=False,
        signatures=True,
    ),
    calls_turn(
        "gemini_old",
        GEMINI,
        ids="empty",
        index="zero",
        packing="one_chunk",
        finish="stop",
        role="every",
        usage_at="ride",
    ),
)


def finish_row(raw: str | None, finish: str, text: str = "Hello", says: str = "", **odd: object) -> Scenario:
    """Write a row for one raw finish reason; a refusal without words must name its reason."""
    expect = Expect("" if says else text, says, finish=finish, usage=(10, 5, 15))
    name = f"finish_{raw}{'' if text else '_empty'}{'_' + str(odd['finish_key']) if odd else ''}"
    return turn(name, Odd(finish=raw, **odd), text, expect=expect)  # type: ignore[arg-type]


MALFORMED = Expect(says="malformed tool call", max_requests=2)
MALFORMED_WORDS = (
    "MALFORMED_FUNCTION_CALL",
    "function_call_filter: MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
)

FINISH = (
    *(finish_row(raw, "stop") for raw in ("STOP", "FINISH_REASON_UNSPECIFIED", "OTHER", "", "eos_token", None)),
    *(finish_row(raw, "length") for raw in ("MAX_TOKENS", "length", "model_length", "model_context_window_exceeded")),
    *(finish_row(raw, "content_filter") for raw in ("SAFETY", "content_filter")),
    *(
        finish_row(raw, "content_filter", "", raw)
        for raw in ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "IMAGE_SAFETY")
    ),
    finish_row("STOP", "stop", finish_key="finishReason"),
    turn(
        "finish_MAX_TOKENS_empty",
        Odd(finish="MAX_TOKENS"),
        expect=Expect(says="*", finish="length", max_requests=2, otherwise=Expect(finish="length", max_requests=2)),
    ),
    turn("finish_every_chunk", Odd(finish_at="every"), "Hello"),
    turn("finish_same_chunk", Odd(finish_at="same"), "Hello"),
    turn("finish_later_role_only", Odd(finish_at="role_only"), "Hello"),
    turn("no_finish", Odd(finish_at="never"), "Hello"),
    *(turn(f"malformed_fc:{raw}", Odd(finish=raw), expect=MALFORMED, model=GEMINI) for raw in MALFORMED_WORDS),
    turn("malformed_fc_with_calls", Odd(finish=MALFORMED_WORDS[0]), calls=ONE, expect=MALFORMED, model=GEMINI),
    turn(
        "malformed_fc_after_text",
        Odd(finish=MALFORMED_WORDS[0]),
        "I shall write.",
        model=GEMINI,
        expect=Expect(says="I shall write."),
        expect_plain=Expect(
            says="malformed tool call", max_requests=2, otherwise=Expect(says="I shall write.", max_requests=2)
        ),
    ),
)
