"""Reads a Dockerfile and a .dockerignore, and finds what would make a build or its image fail; knows no engine."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KNOWN = frozenset(
    "FROM ARG ENV WORKDIR COPY RUN USER VOLUME EXPOSE HEALTHCHECK ENTRYPOINT CMD LABEL STOPSIGNAL SHELL".split()
)


@dataclass(frozen=True)
class Instruction:
    """One instruction, its lines joined. `stage` counts the FROMs."""

    name: str
    value: str
    stage: int


def read_dockerfile(text: str) -> list[Instruction]:
    """Return the instructions in order."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found, stage = [], -1
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).split("\n"):
        name, _, value = line.strip().partition(" ")
        stage += name == "FROM"
        found.append(Instruction(name, value.strip(), stage))
    return found


def last_stage(text: str) -> list[Instruction]:
    """Return the instructions that make the image."""
    found = read_dockerfile(text)
    return [one for one in found if one.stage == found[-1].stage]


def value_of(instructions: list[Instruction], name: str) -> str:
    """Return the value that holds: that of the last instruction of a name, "" without one."""
    return next((one.value for one in reversed(instructions) if one.name == name), "")


def environ_of(instructions: list[Instruction]) -> dict[str, str]:
    """Return what ENV sets."""
    pairs = (pair for one in instructions if one.name == "ENV" for pair in one.value.split())
    return dict(pair.split("=", 1) for pair in pairs)


def command_of(instructions: list[Instruction]) -> list[str]:
    """Return what a container runs. Raises ValueError for anything but the exec form, which alone passes signals on."""
    return [*json.loads(value_of(instructions, "ENTRYPOINT")), *json.loads(value_of(instructions, "CMD"))]


def health_command_of(instructions: list[Instruction]) -> list[str]:
    """Return the command of the HEALTHCHECK."""
    words = value_of(instructions, "HEALTHCHECK").partition("CMD ")[2]
    return list(json.loads(words))


def copies(instructions: list[Instruction]) -> Iterator[tuple[list[str], str]]:
    """Yield (sources, destination) of each COPY out of the folder that is built from."""
    for one in instructions:
        words = [word for word in one.value.split() if not word.startswith("--")]
        if one.name == "COPY" and "--from=" not in one.value:
            yield words[:-1], words[-1]


class Context:
    """A folder as an engine gets it: without what its .dockerignore names."""

    def __init__(self, root: Path, ignore: str) -> None:
        self.root = root
        lines = [line.strip() for line in ignore.splitlines() if line.strip() and not line.startswith("#")]
        self._patterns = [(line.startswith("!"), _compiled(line.lstrip("!"))) for line in lines]

    def sends(self, path: Path) -> bool:
        """Tell whether a file is part of the build. The last pattern that matches it, or a folder above it, decides."""
        relative = path.relative_to(self.root)
        names = [relative.as_posix(), *(parent.as_posix() for parent in relative.parents if parent.name)]
        kept = [keep for keep, pattern in self._patterns if any(pattern.fullmatch(name) for name in names)]
        return kept[-1] if kept else True

    def files(self, source: str) -> list[Path]:
        """List the files below a source that are sent."""
        start = self.root / source
        below = [start] if start.is_file() else sorted(path for path in start.rglob("*") if path.is_file())
        return [path for path in below if self.sends(path)]

    def copy(self, instructions: list[Instruction], folder: Path) -> None:
        """Do what the COPY instructions do, with `folder` in place of WORKDIR."""
        for sources, destination in copies(instructions):
            for source in sources:
                into = folder / destination
                into = into if (self.root / source).is_dir() else into / Path(source).name
                for path in self.files(source):
                    target = into / path.relative_to(self.root / source)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, target)


def _compiled(pattern: str) -> re.Pattern[str]:
    """Translate one line of a .dockerignore: ** is any folders, * and ? stay within a name."""
    parts = re.split(r"(\*\*/|\*|\?|\[[^]]*\])", pattern.strip("/"))
    meanings = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meanings.get(part) or (part if part[:1] == "[" else re.escape(part)) for part in parts))


def faults(text: str, context: Context) -> list[str]:
    """List what is wrong with a Dockerfile, as sentences; nothing when it is sound."""
    found = read_dockerfile(text)
    if not found or found[0].stage < 0:
        return ["there is no FROM"]
    return [*_faults_of_lines(found, context), *_faults_of_image(last_stage(text))]


def _faults_of_lines(found: list[Instruction], context: Context) -> Iterator[str]:
    stages = {word for one in found if one.name == "FROM" for word in re.findall(r"(?i)\bAS (\w+)", one.value)}
    for one in found:
        if one.name not in KNOWN:
            yield f"{one.name} is no instruction"
        if one.name == "FROM" and not re.search(r":\d", one.value.split()[0]):
            yield f"FROM {one.value} names no version"
        if one.name == "RUN" and "pip install" in one.value and "--require-hashes" not in one.value:
            yield "packages are installed without their hashes"
        for stage in re.findall(r"--from=(\S+)", one.value):
            if stage not in stages:
                yield f"there is no stage {stage}"
    for sources, _ in copies(found):
        for source in sources:
            if not context.files(source):
                yield f"COPY {source}: nothing of that name is sent"


def _faults_of_image(image: list[Instruction]) -> Iterator[str]:
    if value_of(image, "USER").partition(":")[0] in ("", "0", "root"):
        yield "it runs as root"
    environ = environ_of(image)
    if value_of(image, "EXPOSE") != environ.get("PORT"):
        yield "EXPOSE is not PORT"
    if environ.get("HOST") != "0.0.0.0":
        yield "nobody outside the container could reach it"
    for name in environ:
        if re.search("KEY|TOKEN|SECRET|PASSWORD", name):
            yield f"{name} would be part of the image"
    for name, read in (("ENTRYPOINT or CMD", command_of), ("HEALTHCHECK", health_command_of)):
        try:
            if not read(image):
                yield f"{name} is empty"
        except ValueError:
            yield f"{name} is not a JSON list"
