"""The examples of a Markdown file: commands with what they print; finds, runs, compares and records them.

A block fenced as ```bash or ```python is run. Blocks that follow it at once are what it printed (```json, ```http,
```text), or, behind the comment `<!-- log -->`, what the gateway logged. A comment `<!-- gateway: NAME=value … -->`
above the command says with which settings its gateway runs; the word `relay` there means that the mock of a second
gateway stands in for the upstream. Commands in ```sh are for reading only.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.gateway import Gateway, clean_environ

RUN = ("bash", "python")
ADDRESS = "http://127.0.0.1:8000"  # what the documents write for the gateway's address
# Read at once: tests take all GATEWAY_ variables out of the environment before they run.
RECORDING = os.environ.get("GATEWAY_RECORD_EXAMPLES") == "1"  # write answers into the documents, compare nothing
LIMIT = 60.0  # seconds for one command; also the longest wait for a log line
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
BETWEEN = re.compile(r"\s*(<!-- log -->)?\s*")
GATEWAY = re.compile(r"<!-- gateway: (.*?) -->\s*\Z")
NOT_ASKED = re.compile(r"^.* GET /ready .*\n", re.MULTILINE)  # asked by the tests, to know when to begin
TRACEBACK = re.compile(r"^(  \| Traceback .*\n)(?:  \| .*\n)*(  \| \S.*\n)", re.MULTILINE)
CHANGING_HEADERS = ("server", "date", "connection", "content-length", "transfer-encoding")
CHANGING = (
    (re.compile(r'("created": ?)\d+'), r"\g<1>0"),
    (re.compile(r"\b(chatcmpl|cmpl|req|call)([-_])[0-9a-f]{8,}\b"), r"\1\2ID"),
    (re.compile(r"\bcall_[A-Za-z0-9]{24}\b"), "call_ID"),
    (re.compile(r'("version": ?)"[^"]*"'), r'\1"0"'),
    (re.compile(r"OpenCode Gateway \d[\w.]*"), "OpenCode Gateway 0"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d"), "TIME"),
    (re.compile(r"  \[[0-9a-f]{8}\]$", re.MULTILINE), "  [ID]"),
    (re.compile(r"\b\d+\.\d{3}s\b"), "0s"),
    (re.compile(r"\bcurl/[\w.]+"), "curl/0"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"(: keep-alive\n\n)+"), ": keep-alive\n\n"),
)


@dataclass(frozen=True)
class Block:
    """One fenced block; `start` and `end` are where its content stands in the file."""

    language: str
    text: str
    start: int
    end: int
    is_log: bool = False


@dataclass(frozen=True)
class Example:
    """A command and the blocks that show what came of it. `gateway` is the directive's text, "" without one."""

    path: Path
    line: int
    command: Block
    gateway: str = ""
    shown: tuple[Block, ...] = field(default=())

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}"


def read_examples(path: Path) -> list[Example]:
    """Return the runnable examples of a file, in order."""
    text = path.read_text("utf-8")
    examples, matches = [], list(FENCE.finditer(text))
    for number, found in enumerate(matches):
        if found[1] not in RUN:
            continue
        directive = GATEWAY.search(text, 0, found.start())
        shown = tuple(_shown_after(text, found, matches[number + 1 :]))
        line = text.count("\n", 0, found.start()) + 1
        examples.append(Example(path, line, _block(found), directive[1] if directive else "", shown))
    return examples


def other_blocks(path: Path, language: str) -> list[str]:
    """Return the texts of all blocks of one language that show no command's answer."""
    taken = {block.start for example in read_examples(path) for block in example.shown}
    found = FENCE.finditer(path.read_text("utf-8"))
    return [match[2] for match in found if match[1] == language and match.start(2) not in taken]


def _shown_after(text: str, command: re.Match[str], following: list[re.Match[str]]) -> Iterator[Block]:
    end = command.end()
    for found in following:
        between = BETWEEN.fullmatch(text, end, found.start())
        if between is None or found[1] in RUN:
            return
        yield _block(found, is_log=between[1] is not None)
        end = found.end()


def _block(found: re.Match[str], is_log: bool = False) -> Block:
    return Block(found[1], found[2], found.start(2), found.end(2), is_log)


def settings_of(directive: str) -> dict[str, str]:
    """Return the settings that a directive names; `relay` is left to the caller."""
    return dict(pair.split("=", 1) for pair in directive.split() if "=" in pair)


# --- run ----------------------------------------------------------------------------------------------------------


def run(example: Example, gateway: Gateway, folder: Path) -> list[str]:
    """Run an example and return what each of its blocks should show. Raises AssertionError where the command fails."""
    begin = len(gateway.output())
    code = example.command.text.replace(ADDRESS, gateway.url)
    interpreter = ["bash", "-e"] if example.command.language == "bash" else [sys.executable]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"  # has a python3
    environ = clean_environ(folder, BASE=gateway.url, NO_PROXY="127.0.0.1", PATH=path)
    done = subprocess.run([*interpreter, "-c", code], cwd=folder, capture_output=True, text=True, timeout=LIMIT,
                          env=environ)
    assert done.returncode == 0, f"{example}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    assert "internal_error" not in done.stdout, f"{example}: a bug in the gateway\n{gateway.output()[begin:]}"
    printed = done.stdout.replace(gateway.url, ADDRESS)
    shown = []
    for block in example.shown:
        if block.is_log:
            shown.append(log_since(gateway, begin).replace(gateway.url, ADDRESS))
        else:
            shown.append(LAYOUTS.get(block.language, plain)(printed))
    return shown


def log_since(gateway: Gateway, begin: int) -> str:
    """Return what the gateway logged for the request that just ended; of a stack trace the first and last line.

    The last line is the one that all requests get.
    """
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        log = NOT_ASKED.sub("", gateway.output()[begin:])
        if re.search(r"^\d{4}-\d\d-\d\dT.* \d+\.\d{3}s[^\n]*\n", log, re.MULTILINE):
            return TRACEBACK.sub(r"\g<1>  | …\n\g<2>", log.strip("\n") + "\n")
        time.sleep(0.02)
    raise AssertionError(f"the gateway wrote no line for the request:\n{gateway.output()[begin:]}")


def plain(printed: str) -> str:
    return printed.rstrip("\n") + "\n"


def as_json(printed: str) -> str:
    """Lay JSON out with line breaks, as the documents do."""
    return json.dumps(json.loads(printed), ensure_ascii=False, indent=2) + "\n"


def as_http(printed: str) -> str:
    """Leave out headers that say nothing of the gateway; lay a JSON body out."""
    head, _, body = printed.replace("\r\n", "\n").partition("\n\n")
    kept = [line for line in head.split("\n") if line.partition(":")[0].lower() not in CHANGING_HEADERS]
    return "\n".join(kept) + "\n\n" + (as_json(body) if body.startswith("{") else plain(body))


LAYOUTS: dict[str, Callable[[str], str]] = {"json": as_json, "http": as_http}


def same(block: Block, new: str) -> bool:
    """Tell whether a block shows what came of its command. Chunks in a log mix as the network delivers them."""
    texts = [normalise(block.text), normalise(new)]
    return len({"\n".join(sorted(text.split("\n"))) if block.is_log else text for text in texts}) == 1


# --- compare and record -------------------------------------------------------------------------------------------


def normalise(text: str) -> str:
    """Replace what differs from run to run: ids, times, versions, ports."""
    for pattern, instead in CHANGING:
        text = pattern.sub(instead, text)
    return text


def record(path: Path, position: int, shown: list[str]) -> None:
    """Write what the example at `position` of a file showed into the file; what only differs in ids stays as it was."""
    text = path.read_text("utf-8")
    blocks = read_examples(path)[position].shown
    for block, new in reversed(list(zip(blocks, shown, strict=True))):
        if not same(block, new):
            text = text[: block.start] + new + text[block.end :]
    path.write_text(text, "utf-8")
