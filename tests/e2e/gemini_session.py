"""Sessions of the real OpenCode with an upstream of the worst kind: folders, model maps and what is counted in them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.gateway import Gateway
from tests.maps import ENGINES, UPSTREAM_KEY
from tests.opencode import Outcome, run_opencode
from tests.opencode_server import ask_opencode
from tests.upstream import FakeUpstream, Recorded
from tests.upstream_answers import Answer

UPSTREAM_MODEL = "gemini-3-flash-preview"
# OpenCode cleans schemas itself where the id says "gemini"; a company's own name gets none of that help.
NAMES = {"family": "gemini-3-by-{engine}", "company": "company-coder-by-{engine}"}
LIMIT = {"context": 200_000, "output": 8_000}


def gateway_map(base_url: str) -> dict[str, object]:
    """Return the gateway's opencode.json: for each engine the upstream's model under both names."""
    options = {"baseURL": base_url, "apiKey": UPSTREAM_KEY}
    entry = {"id": UPSTREAM_MODEL, "tool_call": True, "limit": LIMIT}
    providers: dict[str, object] = {
        engine: {
            "options": {**options, "engine": engine},
            "models": {name.format(engine=engine): entry for name in NAMES.values()},
        }
        for engine in ENGINES
    }
    return {"provider": providers}


@dataclass
class Session:
    """One folder in which OpenCode works through a gateway that stands before `upstream`."""

    folder: Path
    gateway: Gateway
    upstream: FakeUpstream
    model: str

    def __post_init__(self) -> None:
        self.project = self.folder / "project"
        self.project.mkdir(parents=True)
        self._seen = len(self.requests_of_the_client())

    def run(self, prompt: str, *, cli: bool = False) -> Outcome:
        """Let OpenCode do one prompt, as `opencode run` or in the server that runs already."""
        entry = {"tool_call": True, "limit": LIMIT}
        options = {"baseURL": self.gateway.base_url, "apiKey": "any-key"}
        config = {
            "model": f"gw/{self.model}",
            "small_model": f"gw/{self.model}",
            "provider": {"gw": {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {self.model: entry}}},
        }
        (self.project / "opencode.json").write_text(json.dumps(config), "utf-8")
        return (run_opencode if cli else ask_opencode)(self.project, f"gw/{self.model}", prompt)

    def requests_of_the_client(self) -> list[str]:
        """List the gateway's log lines of chat requests to this session's model, one a request."""
        lines = [line for line in self.gateway.output().splitlines() if "/chat/completions" in line]
        return [line for line in lines if self.model in line]

    @property
    def client_requests(self) -> int:
        """How many requests OpenCode sent to this session's model in this session."""
        return len(self.requests_of_the_client()) - self._seen

    def read(self, name: str) -> str:
        return (self.project / name).read_text("utf-8")


def write(folder: Path, name: str, content: str) -> tuple[str, dict]:
    """A call of OpenCode's `write`."""
    return "write", {"filePath": str(folder / name), "content": content}


def append(name: str, line: str) -> tuple[str, dict]:
    """A call of OpenCode's `bash` that leaves one more line each time it is run."""
    return "bash", {"command": f"echo '{line}' >> {name}", "description": f"Add a line to {name}"}


def one_after_the_other(*answers: Answer | Callable[[Recorded], Answer]) -> Callable[[Recorded], Answer]:
    """Answer with these, one request each; the last one repeats and may ask the request what to say."""
    waiting = list(answers)

    def answer(request: Recorded) -> Answer:
        script = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return script if isinstance(script, Answer) else script(request)

    return answer
