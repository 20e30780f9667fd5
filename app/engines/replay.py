"""Captures served as a model: what an upstream once said goes through the engine and the repairs that it went through.

No network is used. The provider's options in opencode.json: `captures`, a folder with capture files or one file,
relative to the gateway's folder (in a folder, an entry with the model's name goes first); `speed`, 0 (at once) or 1 (at
the recorded pace). `"baseURL": "replay:PATH"` says the same as `captures` and the engine; a model with the id `replay:NAME`
is the capture or the folder NAME of `captures` (var/captures), whatever its provider.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.call import Lessons, UpstreamCall
from app.capture import CaptureError, load_capture
from app.engines.recorded_wire import RecordedWire
from app.errors import ConfigError, log
from app.recorded_session import RecordedSession
from app.recording import TEXT_ENGINES, Recording
from app.utils.model_map import REPLAY_URL

if TYPE_CHECKING:
    from app.engines import Engine
    from app.utils.model_resolver import Target

ROOT = Path(__file__).resolve().parents[2]
ENDINGS = (".jsonl", ".jsonl.gz")
OWN_OPTIONS = ("captures", "speed")
READERS = (*TEXT_ENGINES, "harmony")  # engines whose upstreams speak a language of their own; all others speak OpenAI's
OPENAI_READER = "relay"
USUAL_FOLDER = "var/captures"
SESSIONS = 64  # kept in memory
NOWHERE = "http://replay.invalid/v1"  # never asked

_sessions: OrderedDict[Path, tuple[tuple[object, ...], RecordedSession]] = OrderedDict()
_lock = threading.Lock()


def complete(body: dict[str, Any], target: "Target", call: UpstreamCall) -> dict[str, Any]:
    """Return the recorded answer. Raises NoCapture, ConfigError, and what the upstream's answer made the engine raise."""
    played = stand_in(body, target, call)
    return _reader(played).complete(body, played, call)


def stream(body: dict[str, Any], target: "Target", call: UpstreamCall) -> Iterator[list[Any]]:
    """Yield the recorded answer's chunks, one list per recorded read. Raises as `complete`."""
    played = stand_in(body, target, call)
    yield from _reader(played).stream(body, played, call)


def stand_in(body: Mapping[str, Any], target: "Target", call: UpstreamCall) -> "Target":
    """Find the capture that answers `body`, put its upstream's answers in the place of `call`'s network, and return
    the target that was asked then: its dialect, options and engine are what its words are read and repaired with.

    Raises NoCapture, ConfigError.
    """
    session = session_of(target)
    return play(session.find(body, str(call.trace.summary().get("session") or "")), target, call)


def play(recording: Recording, target: "Target", call: UpstreamCall) -> "Target":
    """Let `call` hear what `recording` has, and return the target whose answer it is, under the name of `target`."""
    call.wire = RecordedWire(recording.playable, speed_of(target))
    call.lessons = Lessons()  # it refuses again what it refused then
    own = {name: value for name, value in target.options.items() if name not in OWN_OPTIONS}
    if not recording.is_raw:  # what the client got is OpenAI's dialect, repaired before
        return replace(target, engine_name=OPENAI_READER, base_url=NOWHERE, options=own, openai_dialect=True)
    known = recording.target
    engine, model = known.get("engine_name"), str(known.get("model") or target.model)
    options, limit = known.get("options"), known.get("limit")
    return replace(
        target,
        model=model,
        litellm_model=f"replay/{model}",
        engine_name=engine if engine in READERS else OPENAI_READER,
        base_url=str(known.get("base_url") or NOWHERE),
        options={**(options if isinstance(options, dict) else {}), **own},
        limit=limit if isinstance(limit, dict) else target.limit,
        openai_dialect=bool(known.get("openai_dialect", True)),
    )


def _reader(target: "Target") -> "Engine":
    from app.engines import engine_for

    return engine_for(target.engine_name)


# --- settings -------------------------------------------------------------------------------------------------------


def captures_of(target: "Target") -> Path:
    """Return the folder or file with a model's captures. Raises ConfigError where none is named."""
    address = target.base_url or ""
    named = target.options.get("captures") or (address.startswith(REPLAY_URL) and address.removeprefix(REPLAY_URL))
    if not named and target.model.startswith(REPLAY_URL):
        named = USUAL_FOLDER
    if not named or not isinstance(named, str):
        raise ConfigError(f"The provider `{target.provider_id}` replays, but names no captures; set options.captures.")
    return ROOT / Path(named).expanduser()


def speed_of(target: "Target") -> float:
    """Return the pace, 1 being the recorded one. Raises ConfigError for an option that is no number from 0."""
    speed = target.options.get("speed", 0)
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 <= speed <= 1000:
        raise ConfigError(f"option speed of provider `{target.provider_id}` is {speed!r}; it must be a number from 0")
    return float(speed)


def session_of(target: "Target") -> RecordedSession:
    """Return the captures of a target. Raises ConfigError."""
    folder, name = captures_of(target), target.model.removeprefix(REPLAY_URL)
    if name != target.model and folder.is_dir() and not any((folder / f"{name}{end}").exists() for end in ("", *ENDINGS)):
        raise ConfigError(f"There is no capture {name} in {folder}.")
    return open_session(folder, name)


def files_of(path: Path, model: str) -> list[Path]:
    """List the capture files of a model at a path: the file itself, or those of a folder. Raises ConfigError.

    In a folder, a file or folder with the model's name goes before the folder's own files.
    """
    if path.is_dir():
        entries = {each.name: each for each in path.iterdir()}  # a client may choose the name: it is never made a path
        path = next((entries[model + ending] for ending in ("", *ENDINGS) if model + ending in entries), path)
    if path.is_dir():
        return sorted(each for each in path.iterdir() if each.name.endswith(ENDINGS) and each.is_file())
    found = next((each for each in (path, *(path.with_name(path.name + e) for e in ENDINGS)) if each.is_file()), None)
    if found is None:
        raise ConfigError(f"There are no captures at {path}.")
    return [found]


def open_session(path: Path, model: str = "") -> RecordedSession:
    """Return the captures of a model, read again when a file changed. Raises ConfigError when there is none to read."""
    try:
        files = files_of(path, model)
        seen: tuple[object, ...] = tuple((file, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    except OSError as error:
        raise ConfigError(f"The captures at {path} cannot be read: {error}") from None
    key = path / model
    with _lock:
        known = _sessions.get(key)
        if known is None or known[0] != seen:
            known = seen, RecordedSession(_read(files), model or path.name)
            _sessions[key] = known
        _sessions.move_to_end(key)
        while len(_sessions) > SESSIONS:
            _sessions.popitem(last=False)
    return known[1]


def _read(files: list[Path]) -> list[Recording]:
    """Read captures; in a session of several, one that is damaged is passed over with a line in the log."""
    recordings = []
    for file in files:
        try:
            recordings.append(Recording(load_capture(file), file.name))
        except (OSError, CaptureError) as error:
            if len(files) == 1:
                raise ConfigError(f"The capture {file} cannot be read: {error}") from None
            log.warning("the capture %s is passed over: %s", file, error)
    return recordings
