"""OpenAI's older text completion in terms of a chat: prompt and suffix in, text out. Pure.

Editors still use it for autocomplete (Continue sends /v1/completions by default), while most upstreams only chat.
"""

from collections.abc import Mapping
from typing import Any

from app import sse
from app.errors import InvalidRequest
from app.utils.request_check import FIELDS, check_fields

OWN_FIELDS = {"model", "messages", "tools", "tool_choice", "response_format", "functions", "function_call", "logprobs"}
COMPLETION_FIELDS = {name: types for name, types in FIELDS.items() if name not in OWN_FIELDS} | {
    "prompt": (str, list),
    "suffix": (str,),
    "echo": (bool,),
    "best_of": (int,),
    "logprobs": (int,),
    "model": (str,),
}
NOT_PASSED = frozenset({"prompt", "suffix", "echo", "best_of", "logprobs"})
INSTRUCTION = (
    "Continue the text exactly where it stops. Answer with the continuation alone: "
    "no explanation, no code fence, no repetition."
)
FILL_INSTRUCTION = (
    "Fill in what is missing at <CURSOR>, between the text before and after it. Answer with the missing "
    "text alone: no explanation, no code fence, no repetition of what is there."
)


def check_completion_request(body: object) -> dict[str, Any]:
    """Return `body` if it is a completion request that a chat model can serve. Raises InvalidRequest."""
    if not isinstance(body, dict):
        raise InvalidRequest("The request body must be a JSON object.", code="invalid_type")
    check_fields(body, COMPLETION_FIELDS)
    if "prompt" not in body or body["prompt"] in (None, [], ""):
        raise InvalidRequest("`prompt` is required.", param="prompt", code="missing_required_parameter")
    if body.get("logprobs"):
        raise InvalidRequest("`logprobs` is not available for completions.", param="logprobs", code="unsupported_value")
    if (body.get("best_of") or 1) > (body.get("n") or 1):
        raise InvalidRequest("`best_of` above `n` is not available.", param="best_of", code="unsupported_value")
    return body


def read_prompt(body: Mapping[str, Any]) -> str:
    """Return the one prompt as text. Raises InvalidRequest for token ids and for several prompts."""
    prompt = body["prompt"]
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1 and isinstance(prompt[0], str):
        return str(prompt[0])
    if all(isinstance(item, str) for item in prompt):
        raise InvalidRequest("Send one prompt per request.", param="prompt", code="unsupported_value")
    raise InvalidRequest(
        "`prompt` must be text; token ids cannot be read here.", param="prompt", code="unsupported_value"
    )


def as_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chat request that asks for the same."""
    prompt, suffix = read_prompt(body), body.get("suffix")
    if suffix:
        messages = [
            {"role": "system", "content": FILL_INSTRUCTION},
            {"role": "user", "content": f"{prompt}<CURSOR>{suffix}"},
        ]
    else:
        messages = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": prompt}]
    return {**{name: value for name, value in body.items() if name not in NOT_PASSED}, "messages": messages}


def format_text_completion(answer: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a formatted chat.completion as a text_completion."""
    before = read_prompt(body) if body.get("echo") else ""
    choices = [
        {
            "text": before + (choice["message"].get("content") or ""),
            "index": choice["index"],
            "logprobs": None,
            "finish_reason": _finish(choice.get("finish_reason")),
        }
        for choice in answer["choices"]
    ]
    return {**_head(answer), "choices": choices, "usage": answer.get("usage")}


class TextChunks:
    """Turns formatted chat chunks into text_completion events; chunks that carry no text are left out."""

    def __init__(self, format_chunk: Any, body: Mapping[str, Any]) -> None:
        self._format = format_chunk
        self._before = read_prompt(body) if body.get("echo") else ""
        self._started: set[int] = set()

    def encode(self, chunks: list[dict[str, Any]]) -> bytes:
        """Return the events of `chunks` in one piece; b"" where none of them says anything."""
        converted = map(self._convert, self._format(chunks))
        return sse.encode([chunk for chunk in converted if chunk["choices"] or chunk.get("usage")])

    def _convert(self, formatted: dict[str, Any]) -> dict[str, Any]:
        choices = [converted for choice in formatted["choices"] if (converted := self._choice(choice))]
        usage = {"usage": formatted["usage"]} if formatted.get("usage") else {}
        return {**_head(formatted), "choices": choices, **usage}

    def _choice(self, choice: Mapping[str, Any]) -> dict[str, Any] | None:
        text, finish = choice["delta"].get("content") or "", choice.get("finish_reason")
        if choice["index"] not in self._started and (text or finish):
            self._started.add(choice["index"])
            text = self._before + text
        if not text and not finish:
            return None
        return {"text": text, "index": choice["index"], "logprobs": None, "finish_reason": finish and _finish(finish)}


def _head(answer: Mapping[str, Any]) -> dict[str, Any]:
    identifier = "cmpl-" + str(answer["id"]).removeprefix("chatcmpl-")
    return {"id": identifier, "object": "text_completion", "created": answer["created"], "model": answer["model"]}


def _finish(reason: object) -> str:
    return str(reason) if reason in ("length", "content_filter") else "stop"
