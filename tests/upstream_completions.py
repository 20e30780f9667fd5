"""A fake server of raw text completions behind the fake upstream: it says scripted Harmony text as real servers would.

    server = CompletionServer(["<|channel|>final<|message|>Hi<|return|>"], kind="vllm", pieces=3)
    upstream.reply_with(server)
    ...
    assert "<|start|>user" in server.prompts[0]

One entry of the script answers one request that offers tools, the last one repeats; requests without tools (a title)
get `title` where one is set. What each kind does with fields and control tokens was read in the servers' own sources.
"""

import json
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.upstream import Recorded
from tests.upstream_answers import Answer, json_answer, sse_answer

MARKERS = ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|return|>", "<|call|>")
ENDS = ("<|return|>", "<|call|>")
KINDS = ("vllm", "llama-server", "transformers", "transformers 4", "raw")
OFFERS_TOOLS = re.compile(r"namespace functions|Available tools:")
TOKEN = 4  # characters
DEFAULT_MOST = {"vllm": 16, "transformers": 1024}  # tokens
# openai.types.CompletionCreateParams and what transformers 5.23 adds
KNOWN = frozenset(
    """model prompt best_of echo frequency_penalty logit_bias logprobs max_tokens n presence_penalty seed stop
    stream_options suffix temperature top_p user stream generation_config""".split()
)


@dataclass
class CompletionServer:
    """`script`: what the model writes, control tokens and all; a tuple holds the texts of n choices.

    `pieces`: characters of each chunk's text; `cuts`: bytes of each piece on the wire (None: whole events).
    `kind` "raw" sends everything, also behind the end. `finish` replaces the finish reason.
    """

    script: Sequence[str | tuple[str, ...]]
    kind: str = "vllm"
    pieces: int = 5
    cuts: int | None = None
    title: str | None = None
    finish: str | None = None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    _served: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def prompts(self) -> list[str]:
        """The prompts of the requests that were answered."""
        return [body["prompt"] for body in self.bodies]

    def __call__(self, request: Recorded) -> Answer:
        """Answer one request."""
        body = request.body if isinstance(request.body, dict) else {}
        if self.kind == "transformers 4" or request.path.partition("?")[0] != "/v1/completions":
            return json_answer({"detail": "Not Found"}, 404)
        return self._refuse(body) or self.answer(body)

    def answer(self, body: dict[str, Any]) -> Answer:
        """Answer a sound request from the script."""
        with self._lock:
            self.bodies.append(body)
            texts = self._next(body)
        choices = [self._cut(text, body) for text in texts * (body.get("n", 1) if len(texts) == 1 else 1)]
        if body.get("stream"):
            return sse_answer(self._events(choices, body), pieces=self.cuts, done=self.kind != "transformers")
        entries = [self._entry(index, text, finish) for index, (text, finish) in enumerate(choices)]
        return json_answer({**self._head(body), "choices": entries, "usage": self._usage(choices, body)})

    def _refuse(self, body: dict) -> Answer | None:
        if self.kind == "transformers" and (unexpected := set(body) - KNOWN):
            return json_answer({"detail": f"Unexpected fields in the request: {unexpected}"}, 422)
        complaint = None if body.get("prompt") else "Either prompt or prompt_embeds must be provided and non-empty."
        if body.get("stream_options") and not body.get("stream"):
            complaint = "Stream options can only be defined when `stream=True`."
        if complaint:
            return json_answer({"error": {"message": complaint, "type": "BadRequestError", "code": 400}}, 400)
        return None

    def _next(self, body: dict) -> tuple[str, ...]:
        if self.title is not None and not OFFERS_TOOLS.search(body["prompt"]):
            return (self.title,)
        text = self.script[min(self._served, len(self.script) - 1)]
        self._served += 1
        return (text,) if isinstance(text, str) else text

    def _cut(self, text: str, body: dict) -> tuple[str, str]:
        """Return what of a text is sent, and the finish reason."""
        if self.kind == "raw":
            return text, self.finish or "stop"
        most = TOKEN * (body.get("max_tokens") or DEFAULT_MOST.get(self.kind, 10**9))
        finish = "length" if len(text) > most else "stop"
        text = text[:most]
        ends = [at for at in map(text.find, ENDS) if at >= 0]
        text = self._shown(text[: min(ends)] if ends else text, body)
        stop = body.get("stop") or []
        at = min((at for at in map(text.find, [stop] if isinstance(stop, str) else stop) if at >= 0), default=-1)
        return (text[:at], "stop") if at >= 0 else (text, self.finish or ("stop" if ends else finish))

    def _shown(self, text: str, body: dict) -> str:
        """Take out the control tokens that this kind of server hides."""
        if self.kind == "vllm" and body.get("skip_special_tokens") is False:
            return text
        kept = body.get("preserved_tokens") or () if self.kind == "llama-server" else ()
        for marker in MARKERS:
            text = text if marker in kept else text.replace(marker, "")
        return text

    def _events(self, choices: list[tuple[str, str]], body: dict) -> Iterator[dict]:
        head = self._head(body)
        usage = self._usage(choices, body)
        for index, (text, finish) in enumerate(choices):
            for start in range(0, len(text), self.pieces):
                yield {**head, "choices": [self._entry(index, text[start : start + self.pieces], None)]}
            last = {**head, "choices": [self._entry(index, "", finish)]}
            yield last | ({"usage": usage} if self.kind == "transformers" else {})
        if self.kind != "transformers" and (body.get("stream_options") or {}).get("include_usage"):
            yield {**head, "choices": [], "usage": usage}

    def _entry(self, index: int, text: str, finish: str | None) -> dict:
        return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}

    def _head(self, body: dict) -> dict:
        return {"id": "cmpl-1", "object": "text_completion", "created": 1_790_000_000, "model": body.get("model")}

    def _usage(self, choices: list[tuple[str, str]], body: dict) -> dict:
        prompt, said = len(body["prompt"]) // TOKEN, sum(len(text) for text, _ in choices) // TOKEN
        return {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}


def final(text: str) -> str:
    """Return an answer as gpt-oss writes it."""
    return f"<|channel|>final<|message|>{text}<|return|>"


def thought(text: str) -> str:
    """Return reasoning, with the beginning of the next message."""
    return f"<|channel|>analysis<|message|>{text}<|end|><|start|>assistant"


def call(name: str, **arguments: Any) -> str:
    """Return a tool call."""
    said = json.dumps(arguments, ensure_ascii=False)
    return f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{said}<|call|>"
