"""Settings from the environment and .env, and the model map they name; knows nothing about requests."""

import ipaddress
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dotenv import dotenv_values

from app.errors import ConfigError
from app.opencode_config import OpencodeConfig, config_from_text, find_config, read_config

ROOT = Path(__file__).resolve().parent.parent
ENGINES = ("litellm", "relay", "mock", "chatjimmy", "harmony", "gguf")
LOOK_EVERY = 1.0  # seconds between two looks at the file's date

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True)
class Setting:
    """One row of the table of settings: variable, default as text, parser, one line of help."""

    name: str
    default: str
    parse: Callable[[str], Any]
    help: str
    secret: bool = False

    def read(self, text: str) -> Any:
        """Parse a value; empty text means the default. Raises ConfigError that names the variable, not a secret."""
        try:
            return self.parse(text.strip() or self.default)
        except ValueError as error:
            shown = "" if self.secret else f"={text!r}"
            raise ConfigError(f"{self.name}{shown}: {error}") from None


# --- parsers: text -> value, ValueError says what is allowed -----------------------------------------------------


def text(value: str) -> str | None:
    return value or None


def flag(value: str) -> bool:
    if value.lower() in TRUE + FALSE:
        return value.lower() in TRUE
    raise ValueError("allowed are " + ", ".join(TRUE + FALSE))


def flag_or_auto(value: str) -> bool | None:
    return None if value.lower() == "auto" else flag(value)


def number(low: float, high: float, kind: type[int] | type[float] = int) -> Callable[[str], Any]:
    word = "a whole number" if kind is int else "a number"

    def parse(value: str) -> Any:
        try:
            parsed = kind(value)
        except ValueError:
            raise ValueError(f"must be {word} from {low} to {high}") from None
        if not low <= parsed <= high:
            raise ValueError(f"must be {word} from {low} to {high}")
        return parsed

    return parse


def or_none(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse_or_none(value: str) -> Any:
        if value.lower() == "none":
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise ValueError(f"{error}, or none (send nothing)") from None

    return parse_or_none


def or_auto(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda value: None if value.lower() == "auto" else parse(value)


def size(value: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", value.strip(), re.IGNORECASE)
    if not found:
        raise ValueError("must be a size such as 8GB or 512MB")
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


def one_of(*allowed: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.lower() not in allowed:
            raise ValueError("allowed are " + ", ".join(allowed))
        return value.lower()

    return parse


def names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def database_address(value: str) -> str | None:
    if value and not value.startswith(("postgresql://", "postgres://", "sqlite:///")):
        raise ValueError("must begin with postgresql:// or sqlite:///")
    return value or None


def folder(value: str) -> Path:
    return ROOT / Path(value).expanduser()


def pairs(*allowed: str) -> Callable[[str], Mapping[str, str]]:
    def parse(value: str) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for part in names(value):
            rule, equals, state = (piece.strip() for piece in part.partition("="))
            if not rule or not equals or state.lower() not in allowed:
                raise ValueError(f"must be rule={'|'.join(allowed)}, separated by commas")
            found[rule] = state.lower()
        return MappingProxyType(found)

    return parse


def row(name: str, default: str, parse: Callable[[str], Any], help: str, *, secret: bool = False) -> Any:
    """Declare a field of Settings that is a row of the table."""
    setting = Setting(name, default, parse, help, secret)
    return field(default_factory=lambda: setting.read(""), repr=not secret, metadata={"setting": setting})


@dataclass(frozen=True, eq=False)
class Settings:
    """All settings of one process. The fields are the table: to add a setting is to add a row here.

    A field's name is the variable's in lower case without GATEWAY_ (a test holds this).
    """

    gemini_api_key: str | None = row("GEMINI_API_KEY", "", text, "key of the upstream relay", secret=True)
    gemini_api_base: str = row(
        "GEMINI_API_BASE",
        "https://generativelanguage.googleapis.com/v1beta/openai/",
        text,
        "address of the upstream relay, OpenAI dialect",
    )
    groq_api_key: str | None = row("GROQ_API_KEY", "", text, "key of the provider of that name", secret=True)
    transformers_url: str | None = row("TRANSFORMERS_URL", "", text, "address of a Transformers or vLLM server")
    host: str = row("HOST", "127.0.0.1", text, "address to listen on; anything but loopback needs GATEWAY_API_KEYS")
    port: int = row("PORT", "8000", number(0, 65535), "port to listen on")
    model_name: str | None = row(
        "MODEL_NAME", "", text, "upstream model behind aliases that name none, and for requests without `model`"
    )
    max_tokens: int | None = row(
        "MAX_TOKENS", "1000", or_none(number(1, 10_000_000)), "sent if nothing else says; none: send nothing"
    )
    temperature: float | None = row(
        "TEMPERATURE", "0.7", or_none(number(0, 2, float)), "sent if nothing else says; none: send nothing"
    )
    debug: bool = row("DEBUG", "0", flag, "1: verbose log")
    opencode_config: str | None = row("OPENCODE_CONFIG", "", text, "another opencode.json (OpenCode's own variable)")
    env_file: str | None = row("GATEWAY_ENV_FILE", "", text, "another .env file")
    engine: str = row("GATEWAY_ENGINE", "litellm", one_of(*ENGINES), "engine of providers that name none")
    api_keys: tuple[str, ...] = row(
        "GATEWAY_API_KEYS", "", names, "keys that clients must send, separated by commas", secret=True
    )
    data_dir: Path = row("GATEWAY_DATA_DIR", "var", folder, "folder for everything that is written")
    lang: str = row("GATEWAY_LANG", "en", one_of("en", "ko"), "language of the log: en or ko")
    tool_choice: str | None = row(
        "GATEWAY_TOOL_CHOICE",
        "auto",
        or_none(one_of("auto", "required")),
        "sent with tools if the client says nothing; none: send nothing",
    )
    verbose: bool | None = row("GATEWAY_VERBOSE", "auto", flag_or_auto, "1, 0, or auto: when a terminal looks")
    log_file: str | None = row("GATEWAY_LOG_FILE", "", text, "also write the log to this file")
    max_body_bytes: int = row(
        "GATEWAY_MAX_BODY_BYTES", "67108864", number(1024, 2**40), "largest request body; larger ones get a 413"
    )
    connect_timeout: float = row(
        "GATEWAY_CONNECT_TIMEOUT", "10", number(0.01, 86400, float), "seconds to reach the upstream"
    )
    first_byte_timeout: float = row(
        "GATEWAY_FIRST_BYTE_TIMEOUT", "300", number(0.01, 86400, float), "seconds until the upstream's first byte"
    )
    idle_timeout: float = row(
        "GATEWAY_IDLE_TIMEOUT", "300", number(0.01, 86400, float), "seconds of silence within a stream"
    )
    drain_timeout: float = row(
        "GATEWAY_DRAIN_TIMEOUT", "30", number(0, 86400, float), "seconds running answers may finish after SIGTERM"
    )
    keep_alive: float = row(
        "GATEWAY_KEEP_ALIVE", "15", number(0, 3600, float), "seconds of silence before a comment is sent; 0: never"
    )
    workers: int = row("GATEWAY_WORKERS", "1", number(1, 256), "gunicorn worker processes")
    threads: int = row("GATEWAY_THREADS", "1024", number(1, 10_000), "threads of one worker")
    worker_class: str = row("GATEWAY_WORKER_CLASS", "gthread", one_of("gthread", "gevent"), "gunicorn worker class")
    forward_client_key: bool = row(
        "GATEWAY_FORWARD_CLIENT_KEY", "1", flag, "send the client's key upstream when no other is known"
    )
    hold_tool_calls: bool = row("GATEWAY_HOLD_TOOL_CALLS", "1", flag, "hold a streamed tool call until it is whole")
    on_truncated: str = row(
        "GATEWAY_ON_TRUNCATED", "error", one_of("error", "length", "stop"), "how an answer cut by the upstream ends"
    )
    upstream_connections: int = row(
        "GATEWAY_UPSTREAM_CONNECTIONS", "1000", number(1, 100_000), "connections kept to upstreams, per worker"
    )
    first_chunk_wait: float = row(
        "GATEWAY_FIRST_CHUNK_WAIT", "30", number(0, 3600, float),
        "seconds a stream's status waits for its first chunk, so that a refusal keeps its status",
    )
    repairs: Mapping[str, str] = row(
        "GATEWAY_REPAIRS", "", pairs("fix", "warn", "off", "on"), "switch single repairs: rule=fix|warn|off, …"
    )
    database_url: str | None = row(
        "DATABASE_URL", "", database_address, "postgresql://… shared by several machines; unset: SQLite in the data folder",
        secret=True,
    )
    signature_days: float = row(
        "GATEWAY_SIGNATURE_DAYS", "30", number(0, 3650, float),
        "days a thought signature is kept for clients that drop it; 0: not at all",
    )
    signature_limit: int = row(
        "GATEWAY_SIGNATURE_LIMIT", "200000", number(0, 100_000_000), "thought signatures kept at most, the newest ones"
    )

    mock_script: str | None = row("GATEWAY_MOCK_SCRIPT", "", text, "scenario file for the mock model")

    local_models: bool = row("GATEWAY_LOCAL_MODELS", "1", flag, "look for GGUF models on this machine and serve them")
    model_paths: str | None = row("GATEWAY_MODEL_PATHS", "", text, "more folders with GGUF files, separated by ;")
    local_context: int = row("GATEWAY_LOCAL_CONTEXT", "8192", number(256, 10_000_000), "tokens of context, at most the model's")
    local_memory: int | None = row(
        "GATEWAY_LOCAL_MEMORY", "auto", or_auto(size), "for all local models together, such as 8GB; auto: 70 % of it all"
    )
    local_idle: float = row(
        "GATEWAY_LOCAL_IDLE", "900", number(0, 10_000_000, float), "seconds until an unused local model leaves; 0: never"
    )
    local_threads: int | None = row("GATEWAY_LOCAL_THREADS", "auto", or_auto(number(1, 1024)), "auto: all cores but one")
    local_slots: int = row("GATEWAY_LOCAL_SLOTS", "4", number(1, 256), "answers at once from one local model")
    local_wait: float = row(
        "GATEWAY_LOCAL_WAIT", "120", number(0, 86400, float), "seconds a request waits for a load, then it gets a 503"
    )
    tools_root: str | None = row("GATEWAY_TOOLS_ROOT", "", text, "the folder that file_read may read; unset: none")
    tools_remote: bool = row("GATEWAY_TOOLS_REMOTE", "0", flag, "1: other machines may run tools too")
    tools_file: str | None = row("GATEWAY_TOOLS_FILE", "", text, "Python file with tools of your own")

    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    opencode: OpencodeConfig = field(default_factory=lambda: OpencodeConfig(data={}), repr=False)
    cache: dict[object, Any] = field(default_factory=dict, init=False, repr=False)  # belongs to model_resolver

    @classmethod
    def load(
        cls, environ: Mapping[str, str] = os.environ, dotenv: bool = True, opencode: Mapping[str, Any] | None = None
    ) -> "Settings":
        """Read the environment, .env (`dotenv`) and the model map. `opencode` is a model map given as a dict instead.

        Raises ConfigError for a value that is not allowed, a broken file, or a named file that is missing.
        """
        known = read_environ(environ, dotenv)
        settings = cls(
            **{attribute: setting.read(known.get(setting.name, "")) for attribute, setting in ROWS.items()},
            environ=MappingProxyType(known),
        )
        return settings.with_map(opencode) if opencode is not None else settings.reloaded()

    def reloaded(self) -> "Settings":
        """Return these settings with the model map read again. Raises ConfigError when it is broken or gone."""
        path = find_config(self.opencode_config, ROOT)
        return replace(self, opencode=read_config(path, self.placeholders(), ROOT))

    def with_map(self, opencode: Mapping[str, Any]) -> "Settings":
        """Return these settings with another model map, given as the content of an opencode.json."""
        return replace(self, opencode=config_from_text(json.dumps(opencode), self.placeholders(), ROOT))

    def placeholders(self) -> dict[str, str]:
        """Return what `{env:…}` may name: the environment, and the defaults of settings that have one."""
        return {setting.name: setting.default for setting in SETTINGS if setting.default} | dict(self.environ)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every configured key, for those who must hide them."""
        from app.utils.known_keys import known_keys

        return known_keys(self)

    @property
    def problem(self) -> str | None:
        """Say why the model map is not the user's own file, or None."""
        return self.opencode.problem


ROWS: Mapping[str, Setting] = {f.name: f.metadata["setting"] for f in fields(Settings) if "setting" in f.metadata}
SETTINGS: tuple[Setting, ...] = tuple(ROWS.values())


def read_environ(environ: Mapping[str, str], dotenv: bool) -> dict[str, str]:
    """Merge .env under the environment; empty values count as unset. Raises ConfigError for a named file not there."""
    named = environ.get("GATEWAY_ENV_FILE")
    path = Path(named).expanduser() if named else ROOT / ".env"
    if named and not path.is_file():
        raise ConfigError(f"GATEWAY_ENV_FILE={named!r}: there is no such file")
    from_file = dotenv_values(path, encoding="utf-8-sig") if (dotenv or named) and path.is_file() else {}
    return {name: value for source in (from_file, environ) for name, value in source.items() if value}


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address reaches this machine only."""
    if host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_bind(settings: Settings) -> None:
    """Raise ConfigError when the gateway would be open to other machines without asking for a key."""
    if not is_loopback(settings.host) and not settings.api_keys:
        raise ConfigError(
            f"HOST={settings.host} is reachable from other machines, but GATEWAY_API_KEYS is not set. "
            "Set GATEWAY_API_KEYS=some-long-secret (several: separated by commas) and give it to your clients, "
            "or listen on this machine only: HOST=127.0.0.1"
        )


class SettingsStore:
    """The settings of the moment: re-reads the model map when its file changes. Safe for many threads.

    `problem` says why the map in use is not the file as it stands now, or None.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        log: Callable[[str], None] = lambda line: None,
    ):
        self._settings, self._clock, self._log = settings, clock, log
        self._seen, self._next_look = self._look(), clock() + LOOK_EVERY
        self._lock = threading.Lock()
        self.problem = settings.problem

    @property
    def current(self) -> Settings:
        """Return the settings; looks at the file at most once a second, so the usual cost is one clock read."""
        if self._clock() >= self._next_look and self._lock.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._lock.release()
        return self._settings

    def _refresh(self) -> None:
        self._next_look = self._clock() + LOOK_EVERY
        seen = self._look()
        if seen == self._seen:
            return
        self._seen, old = seen, self._settings.opencode
        try:
            if old.path and find_config(self._settings.opencode_config, ROOT) is None:
                raise ConfigError(f"{old.path} is gone")  # an editor may be about to put it back
            self._settings = self._settings.reloaded()
            if self._settings.opencode.watched != old.watched:
                self._seen = self._look()
            self.problem = self._settings.problem
            self._log(f"model map read again: {self._settings.opencode.path or 'built in'}")
        except ConfigError as error:
            self.problem = f"the model map in use is the last sound one: {error}"
            self._log(self.problem)

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_signature(path) for path in self._settings.opencode.watched)


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
