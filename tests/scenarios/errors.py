"""Scenarios about errors: refusals in every shape, errors in the middle of a stream, streams and calls that are cut."""

from dataclasses import replace

from tests.scenarios.builder import Odd, answer_of, build_chunks, build_completion, stream_of
from tests.scenarios.shapes import HELLO, NOTHING, TRUNCATED, choice
from tests.scenarios.table import GEMINI, TWO, Expect, Scenario, scenario
from tests.upstream_answers import Answer, Event, bytes_answer, encode_json, sse_answer

HTML = b"<!DOCTYPE html><html><head><title>Bad Gateway</title></head><body><h1>The relay is away</h1></body></html>"
TOKENS = "The input token count (1199999) exceeds the maximum number of tokens allowed (1048576)."
FIELD = "Invalid JSON payload received. Unknown name \"foo\" at 'tools[0]': Cannot find field."


def google(status: int, word: str, text: str, *details: dict) -> dict:
    """Write Google's error object."""
    error = {"code": status, "message": text, "status": word}
    return {"error": {**error, **({"details": list(details)} if details else {})}}


def retry_info(delay: str) -> dict:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def quota(name: str) -> dict:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": name}]}


def refusal(name: str, body: object, status: int, expect: Expect, **headers: str) -> Scenario:
    """Write a row in which the upstream refuses both modes with the same body (bytes: verbatim)."""
    if isinstance(body, bytes):
        answer = bytes_answer(body, status, {"Content-Type": "text/html", **headers})
    else:
        answer = answer_of(body, status, **headers)
    return scenario(name, answer, answer, expect, model=GEMINI)


EXHAUSTED = "You exceeded your current quota, please check your plan and billing details."
RATE = Expect(error_status=429, error_type="rate_limit_error", error_code="rate_limit_exceeded")
# sent once more without the field: what an upstream says it does not know is learned
INVALID = Expect(error_status=400, error_type="invalid_request_error", error_says="Unknown name", max_requests=2)
BUSY = Expect(error_status=503, error_type="server_error", error_says="overloaded")
OVERLOADED = google(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")
NO_KEY = google(
    400,
    "INVALID_ARGUMENT",
    "API key not valid. Please pass a valid API key.",
    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
)
OPENAI_400 = {"error": {"message": FIELD, "type": "invalid_request_error", "param": "tools", "code": None}}
PER_DAY = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier")


def waits(seconds: str | None) -> Expect:
    """Expect a 429 that tells the client to wait so long."""
    return replace(RATE, headers={"Retry-After": seconds})


def exhausted(*details: dict, text: str = EXHAUSTED) -> dict:
    return google(429, "RESOURCE_EXHAUSTED", text, *details)


ERRORS: tuple[Scenario, ...] = (
    refusal("err400_array", [google(400, "INVALID_ARGUMENT", FIELD)], 400, INVALID),
    refusal("err400_object", google(400, "INVALID_ARGUMENT", FIELD), 400, INVALID),
    refusal("err400_openai", OPENAI_400, 400, replace(INVALID, error_says="Unknown name")),
    refusal("err400_text", b"prompt is wrong", 400, Expect(error_status=400, error_says="prompt is wrong")),
    refusal("err400_empty", b"", 400, Expect(error_status=400)),
    refusal(
        "err400_error_is_text", {"error": "no such thing"}, 400, Expect(error_status=400, error_says="no such thing")
    ),
    refusal("err400_detail", {"detail": "not today"}, 400, Expect(error_status=400, error_says="not today")),
    refusal(
        "err400_digits",
        [google(400, "INVALID_ARGUMENT", "Refused, request id req_7f5003ab, trace 429524.")],
        400,
        Expect(error_status=400, error_says="Refused"),
    ),
    refusal(
        "err400_tokens_array",
        [google(400, "INVALID_ARGUMENT", TOKENS)],
        400,
        Expect(error_status=400, error_code="context_length_exceeded", error_says=TOKENS),
    ),
    refusal(
        "err400_tokens_object",
        google(400, "INVALID_ARGUMENT", TOKENS),
        400,
        Expect(error_status=400, error_code="context_length_exceeded", error_says=TOKENS),
    ),
    refusal(
        "err400_api_key",
        [NO_KEY],
        400,
        Expect(error_status=401, error_type="authentication_error", error_code="invalid_api_key"),
    ),
    refusal(
        "err401",
        google(401, "UNAUTHENTICATED", "Request had invalid credentials."),
        401,
        Expect(error_status=401, error_type="authentication_error"),
    ),
    refusal(
        "err403",
        [google(403, "PERMISSION_DENIED", "Permission denied.")],
        403,
        Expect(error_status=403, error_says="Permission denied"),
    ),
    refusal(
        "err404",
        [google(404, "NOT_FOUND", "models/x is not found for API version v1main.")],
        404,
        Expect(error_status=404, error_code="model_not_found"),
    ),
    refusal("err429_retry_info", [exhausted(retry_info("37s"))], 429, waits("37")),
    refusal("err429_retry_info_object", exhausted(retry_info("36.2s")), 429, waits("37")),
    refusal("err429_retry_in_text", [exhausted(text=EXHAUSTED + " Please retry in 26.66s.")], 429, waits("27")),
    refusal("err429_header", [exhausted()], 429, waits("7"), Retry_After="7"),
    refusal("err429_nothing", [exhausted()], 429, RATE),
    refusal("err429_huge_wait", [exhausted(retry_info("86400s"))], 429, waits("60")),
    refusal(
        "err429_per_day",
        [exhausted(PER_DAY, retry_info("37s"))],
        429,
        Expect(error_status=429, error_code="insufficient_quota", headers={"Retry-After": None}),
    ),
    refusal(
        "err500",
        [google(500, "INTERNAL", "An internal error has occurred.")],
        500,
        Expect(error_status=500, error_says="internal error"),
    ),
    refusal("err503_array", [OVERLOADED], 503, BUSY),
    refusal("err503_object", OVERLOADED, 503, BUSY),
    refusal("html502", HTML, 502, Expect(error_status=502, error_says="Bad Gateway")),
    refusal("html503", HTML, 503, Expect(error_status=503, otherwise=Expect(error_status=502))),
    refusal("html200", HTML, 200, Expect(error_status=502, max_requests=2)),
    refusal("html404", HTML, 404, Expect(error_status=404, otherwise=Expect(error_status=502))),
    refusal("error200_object", exhausted(), 200, Expect(error_status=429)),
    refusal("error200_array", [OVERLOADED], 200, Expect(error_status=503, error_says="overloaded")),
    scenario(
        "empty_json",
        answer_of({}),
        answer_of({}),
        Expect(error_status=502, max_requests=2, otherwise=Expect(says="*", max_requests=2)),
    ),
    scenario(
        "empty_200",
        bytes_answer(b"", 200, {"Content-Type": "application/json"}),
        bytes_answer(b"", 200, {"Content-Type": "application/json"}),
        NOTHING,
        Expect(error_status=502, max_requests=2),
    ),
    scenario(
        "half_json",
        (),
        bytes_answer(b'{"choices": [{"mess', 200, {"Content-Type": "application/json"}),
        Expect(error_status=502, max_requests=2),
    ),
    scenario(
        "err503_then_good",
        (answer_of([OVERLOADED], 503), stream_of(build_chunks("Hello"))),
        (answer_of([OVERLOADED], 503), answer_of(build_completion("Hello"))),
        BUSY,
    ),
)

HELLO_START = build_chunks("Hello")[:2]
LOST = Expect("Hello", error_status=0, error_code="upstream_truncated")
CALLS = build_chunks("", TWO, Odd(packing="per_call"))
CALLS_AFTER_TEXT = build_chunks("Hello", TWO, Odd(packing="per_call"))
WHOLE = answer_of(build_completion("Hello"))
CUT_PLAIN = Answer(WHOLE.body, 200, dict(WHOLE.headers)).cut_after(bytes=60)
CUT_ARGUMENTS = '{"path":"b.txt","cont'
FIRST_CALL = (("write", {"path": "a.txt", "content": "alpha"}),)


def cut_call(finish: str) -> tuple[Answer, Answer]:
    """Say two calls, the second with its arguments cut off, and this finish reason, in both modes."""
    whole = build_completion("", TWO, Odd(finish=finish))
    whole["choices"][0]["message"]["tool_calls"][1]["function"]["arguments"] = CUT_ARGUMENTS
    calls = whole["choices"][0]["message"]["tool_calls"]
    chunks = [*(choice({"tool_calls": [call]}) for call in calls), choice({}, finish)]
    return stream_of(chunks), answer_of(whole)


def cut_in_finish() -> Answer:
    """Say Hello and break off in the middle of the event that carries the finish reason."""
    answer = sse_answer(build_chunks("Hello"))
    return answer.cut_after(bytes=answer.event_ends[1] + 40)


LONG = "0123456789abcdef" * 25_000  # more than one read holds: its start is with the client before the end arrives

LONG_WORDS = [choice({"content": LONG[n : n + 4000]}) for n in range(0, len(LONG), 4000)]


def mid_errors(name: str, event: Event, says: str = "", status: int = 503) -> tuple[Scenario, Scenario]:
    """Write two rows: an error after a short text (its status may be kept) and after a long one."""
    end: list[Event] = [event, b"data: [DONE]\n\n"]
    late = Expect("Hello", error_status=0, error_says=says, otherwise=Expect(error_status=status, error_says=says))
    late_long = replace(late, text=LONG, otherwise=None)
    return (
        scenario(name, stream_of([*HELLO_START, *end], done=False), (), late),
        scenario(
            f"{name}_late",
            stream_of([*LONG_WORDS, *end], done=False),
            (),
            late_long,
        ),
    )


BARE = encode_json(OVERLOADED) + b"\n\n"
MID_OPENAI = {"error": {"message": "The model is overloaded", "type": "server_error", "code": None}}
BAD_JSON = b'data: {"choices": [{"de\n\n'
UNSOUND = Expect(says="*", finish="stop", max_requests=2, otherwise=Expect(finish="length", max_requests=2))
UNSOUND_OR_ERROR = replace(UNSOUND, otherwise=TRUNCATED)

CUTS: tuple[Scenario, ...] = (
    *mid_errors("midstream_err_object", OVERLOADED, "overloaded"),
    *mid_errors("midstream_err_array", [OVERLOADED], "overloaded"),
    *mid_errors("midstream_err_openai", MID_OPENAI, "overloaded", 500),
    *mid_errors("midstream_err_bare_line", BARE),
    *mid_errors("midstream_err_event_line", b"event: error\ndata: " + BARE, "overloaded"),
    *mid_errors("midstream_bad_json", BAD_JSON, status=502),
    scenario("first_event_err_object", stream_of([exhausted()]), (), replace(RATE, error_type=None)),
    scenario("first_event_err_array", stream_of([[exhausted()]]), (), replace(RATE, error_type=None)),
    scenario(
        "midstream_err_holds_calls",
        stream_of([*CALLS[:-2], OVERLOADED]),
        (),
        Expect(error_status=503, max_requests=2, otherwise=Expect(error_status=0, max_requests=2)),
    ),
    scenario("midcut", sse_answer(build_chunks("Hello")).cut_after(2), CUT_PLAIN, LOST, TRUNCATED),
    scenario(
        "midcut_late",
        sse_answer(LONG_WORDS, done=False).cut_after(),
        (),
        replace(LOST, text=LONG),
    ),
    scenario("midcut_in_an_event", cut_in_finish(), (), LOST),
    scenario(
        "midcut_reset",
        sse_answer(build_chunks("Hello")).cut_after(2, reset=True),
        (),
        replace(LOST, max_requests=2, otherwise=TRUNCATED),  # a reset may take what was sent before it along
    ),
    scenario("midcut_close_delimited", sse_answer(build_chunks("Hello"), framing="close").cut_after(2), (), LOST),
    scenario("midcut_content_length", sse_answer(build_chunks("Hello"), framing="length").cut_after(2), (), LOST),
    scenario("midcut_clean_end", stream_of(HELLO_START, done=False), (), LOST),
    scenario(
        "midcut_before_the_first_byte",
        Answer(before_headers="cut"),
        Answer(before_headers="cut"),
        Expect(error_status=502, max_requests=2),
    ),
    scenario("midcut_after_headers", sse_answer(build_chunks("Hello")).cut_after(0), (), TRUNCATED),
    scenario("midcut_after_calls", sse_answer(CALLS).cut_after(2), (), TRUNCATED),
    scenario("midcut_in_calls", sse_answer(CALLS).cut_after(1), (), TRUNCATED),
    scenario("midcut_text_then_calls", sse_answer(CALLS_AFTER_TEXT).cut_after(4), (), LOST),
    scenario("midcut_after_finish", sse_answer(build_chunks("Hello")).cut_after(-1), (), HELLO),
    scenario(
        "midcut_then_good",
        (sse_answer(CALLS).cut_after(1), stream_of(CALLS)),
        (),
        Expect(calls=TWO, finish="tool_calls", usage=(10, 5, 15), max_requests=2),
    ),
    scenario("cut_args_length", *cut_call("length"), Expect(calls=FIRST_CALL, finish="length")),
    scenario("cut_args_MAX_TOKENS", *cut_call("MAX_TOKENS"), Expect(calls=FIRST_CALL, finish="length"), model=GEMINI),
    scenario("cut_args_tool_calls", *cut_call("tool_calls"), UNSOUND_OR_ERROR),
    scenario(
        "cut_only_call_length",
        stream_of(
            [
                choice(
                    {
                        "tool_calls": [
                            {
                                "index": 0,
                                "id": "call_0",
                                "type": "function",
                                "function": {"name": "write", "arguments": CUT_ARGUMENTS},
                            }
                        ]
                    }
                ),
                choice({}, "length"),
            ]
        ),
        (),
        Expect(says="*", finish="length", max_requests=2, otherwise=Expect(finish="length", max_requests=2)),
    ),
)
