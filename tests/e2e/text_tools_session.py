"""Models that know no tools, behind a real gateway: ChatJimmy's fake and a fake server of raw gpt-oss text, as files ship.

A script is written once, as turns; each road says it in its own way: `<tool_call>` blocks, or Harmony.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.gateway import ROOT, Gateway
from tests.opencode import Outcome, run_opencode
from tests.opencode_server import ask_opencode
from tests.upstream import FakeUpstream
from tests.upstream_completions import OFFERS_TOOLS, CompletionServer, call, final, thought
from tests.upstream_jimmy import Asked, FakeJimmy, Said

JIMMY, OSS = "llama3.1-8B", "gpt-oss-20b"
MODELS = (JIMMY, OSS)
TITLE = "A title of the session"
THOUGHT = "The user wants a file. I think of it where nobody looks."
MARKUP = ("<tool", "</tool", "<|", "|>", "functions.", "assistantfinal", THOUGHT)  # what no user may see

Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Turn:
    """What the model says in one answer. `raw` is said as it stands; of several calls gpt-oss says the first alone."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    raw: Said | None = None

    def as_blocks(self) -> Said:
        """Write it as a model that was told of `<tool_call>` blocks."""
        blocks = [f"<tool_call>\n{json.dumps({'name': n, 'arguments': a})}\n</tool_call>" for n, a in self.calls]
        return "\n".join([*([self.text] if self.text else []), *blocks])

    def as_harmony(self) -> str:
        """Write it as gpt-oss."""
        if not self.calls:
            return thought(THOUGHT) + final(self.text)
        preamble = f"<|channel|>commentary<|message|>{self.text}<|end|><|start|>assistant" if self.text else ""
        name, arguments = self.calls[0]
        return thought(THOUGHT) + preamble + call(name, **arguments)


@dataclass
class TextModels:
    """A gateway and the two upstreams behind it. `play` sets a model's script, `told` what it was told since."""

    gateway: Gateway
    jimmy: FakeJimmy
    upstream: FakeUpstream
    server: CompletionServer = field(default_factory=lambda: CompletionServer([final("Nothing to say.")]))

    def play(self, model: str, *turns: Turn, kind: str = "vllm", title: str | None = TITLE) -> None:
        """Say these, one request each, the last one again and again; a request for a title gets `title`.

        gpt-oss takes every request without tools for one, unless there is no title.
        """
        if model == JIMMY:
            self.jimmy.say(_jimmy_script([turn.raw or turn.as_blocks() for turn in turns]))
            return
        script = [turn.raw if isinstance(turn.raw, str) else turn.as_harmony() for turn in turns]
        self.server = CompletionServer(script, kind=kind, pieces=3, title=final(title) if title else None)
        self.upstream.reply_with(self.server)

    def reset(self) -> None:
        """Forget everything. Whoever asked ChatJimmy must have sent what its own page would send."""
        faults, self.jimmy.faults[:] = list(self.jimmy.faults), ()
        self.jimmy.asked.clear()
        self.upstream.reset()
        assert faults == []

    def told(self, model: str) -> list[str]:
        """The whole prompt of each request of the conversation so far, titles left out."""
        if model == OSS:
            titles = self.server.title is not None
            return [prompt for prompt in self.server.prompts if OFFERS_TOOLS.search(prompt) or not titles]
        return ["\n".join([asked.system, *(text for _, text in asked.messages)]) for asked in self.conversation]

    @property
    def conversation(self) -> list[Asked]:
        """What ChatJimmy was asked, titles left out."""
        return [asked for asked in self.jimmy.asked if not _is_title(asked)]


def _is_title(asked: Asked) -> bool:
    return "title generator" in asked.system


def _jimmy_script(waiting: list[Said]) -> Callable[[Asked], Said]:
    def say(asked: Asked) -> Said:
        if _is_title(asked):
            return TITLE
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    return say


@contextmanager
def text_models(folder: Path) -> Iterator[TextModels]:
    """Start a gateway with the opencode.json that ships; nothing is changed but ChatJimmy's address."""
    with FakeJimmy() as jimmy, FakeUpstream() as upstream:
        shipped = shipped_map()
        assert shipped.count("https://chatjimmy.ai") == 1
        model_map = folder / "opencode.json"
        model_map.write_text(shipped.replace("https://chatjimmy.ai", jimmy.url), "utf-8")
        with Gateway(folder, OPENCODE_CONFIG=str(model_map), TRANSFORMERS_URL=upstream.url) as gateway:
            yield TextModels(gateway, jimmy, upstream)


def shipped_map() -> str:
    return (ROOT / "opencode.json").read_text("utf-8")


@dataclass
class Session:
    """One folder in which OpenCode works with a model."""

    folder: Path
    models: TextModels
    model: str

    def __post_init__(self) -> None:
        self.project = self.folder / "project"
        self.project.mkdir(parents=True)
        port, name = self.models.gateway.port, f"Local Provider/{self.model}"
        shipped = shipped_map().replace(":8000/", f":{port}/").replace("Local Provider/local-model", name)
        (self.project / "opencode.json").write_text(shipped, "utf-8")

    def run(self, prompt: str, *turns: Turn, kind: str = "vllm", cli: bool = False) -> Outcome:
        """Let OpenCode do one prompt while the model says these turns, as `opencode run` or in the server that runs."""
        self.models.play(self.model, *turns, kind=kind)
        return (run_opencode if cli else ask_opencode)(self.project, f"Local Provider/{self.model}", prompt)

    @property
    def told(self) -> list[str]:
        return self.models.told(self.model)

    def write(self, name: str, content: str) -> Call:
        """A call of OpenCode's `write`."""
        return "write", {"filePath": str(self.project / name), "content": content}

    def read(self, name: str) -> str:
        return (self.project / name).read_text("utf-8")
