"""The scenario table itself: names, what each row says, and that rows without oddities are what OpenAI sends."""

import json

import pytest

from tests.scenarios import LEGAL_FINISH, SCENARIOS, Expect, Scenario

# the names of the client matrix; "+" joins oddities that come together
MATRIX = """none gemini gemini_old empty_ids no_ids idx0 idx0+one_chunk+split_chunks no_index no_index+one_chunk
no_index+one_chunk+split_chunks one_chunk one_chunk+split_chunks finish_stop thought_sig sig_delta midcut
midstream_err_array midstream_err_object no_content_key role_every usage_every no_usage dup_ids args_object+one_chunk
no_type one_chunk+finish_same_chunk no_chunk_id no_model crlf nospace no_done comments bytesplit ct_plain:text/plain
json_for_stream no_finish reasoning thought_tags malformed_fc:MALFORMED_FUNCTION_CALL usage_null err400_array
err400_object err429_header err503_array html502 html200 finish_STOP finish_MAX_TOKENS finish_SAFETY""".split()


def by_name() -> dict[str, Scenario]:
    return {s.name: s for s in SCENARIOS}


def outcomes(row: Scenario) -> list[Expect]:
    found = [row.expect, row.expect_plain]
    return found + [e.otherwise for e in found if e.otherwise]


def test_names_are_unique_and_the_matrix_is_there():
    assert len(by_name()) == len(SCENARIOS) >= 200
    assert set(MATRIX) <= set(by_name())


@pytest.mark.parametrize("row", SCENARIOS, ids=lambda s: s.name)
def test_each_row_says_something_and_expects_something_legal(row):
    assert row.stream or row.plain
    for expect in outcomes(row):
        assert set(expect.finish.split("|")) <= set(LEGAL_FINISH)
        assert not (expect.text and expect.says)
        assert expect.error_status is None or expect.error_status == 0 or 400 <= expect.error_status < 600
        assert not (expect.calls and expect.finish == "stop")
    for answer in (*row.stream, *row.plain):
        assert b"".join(s for s in answer.steps() if isinstance(s, bytes)) == answer.body


def test_rows_without_oddities_are_openais_own_way():
    row = by_name()["none"]
    chunks = [json.loads(line[6:]) for line in row.stream_body.decode().splitlines() if line.startswith("data: {")]
    calls = [call for c in chunks[:-1] for call in c["choices"][0]["delta"].get("tool_calls", ())]
    assert [c["id"] for c in calls if "id" in c] == ["call_0", "call_1"]
    for index, (name, arguments) in enumerate(row.expect.calls):
        mine = [c["function"] for c in calls if c["index"] == index]
        assert mine[0]["name"] == name
        assert json.loads("".join(f["arguments"] for f in mine)) == arguments
    assert [c["choices"][0]["finish_reason"] for c in chunks[:-1]] == [None] * (len(chunks) - 2) + ["tool_calls"]
    assert chunks[-1]["choices"] == []
    whole = json.loads(row.json_body)
    assert [c["id"] for c in whole["choices"][0]["message"]["tool_calls"]] == ["call_0", "call_1"]


@pytest.mark.parametrize(
    ("name", "present", "absent"),
    (
        ("idx0", b'"index":0,"id":"call_1"', b'"index":1'),
        ("no_index", b'{"tool_calls":[{"id"', b'"index":1'),
        ("empty_ids", b'"id":""', b"call_"),
        ("no_ids", b'"index":1', b'"id":"call_'),
        ("dup_ids", b'"index":1,"id":"call_0"', b"call_1"),
        ("args_object", b'"arguments":{"path"', b'"arguments":"'),
        ("no_type", b'"tool_calls"', b'"type"'),
        ("no_finish", b"[DONE]", b'"finish_reason":"'),
        ("no_done", b'"finish_reason":"stop"', b"[DONE]"),
        ("usage_without_choices", b'"upstream-model","usage"', b'"choices":[]'),
        ("crlf", b"\r\n\r\n", b"}\n"),
        ("nospace", b"data:{", b"data: "),
        ("finish_STOP_finishReason", b'"finishReason":"STOP"', b"finish_reason"),
        ("default_api_colon", b'"name":"default_api:glob"', b'"name":"glob"'),
        ("lone_surrogate", b"\\ud800", "\ufffd".encode()),
        ("line_separator", "\u2028".encode(), b"\\u2028"),
    ),
)
def test_oddities_are_on_the_wire(name, present, absent):
    body = by_name()[name].stream_body
    assert present in body
    assert absent not in body


def test_the_request_offers_tools_and_asks_for_usage():
    body = by_name()["none"].request_body("m", True)
    assert [t["function"]["name"] for t in body["tools"]] == ["write", "glob", "read"]
    assert body["stream_options"] == {"include_usage": True}
    assert "stream_options" not in by_name()["usage_not_asked_for"].request_body("m", True)
    assert by_name()["n2"].request_body("m", False)["n"] == 2
