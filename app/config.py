"""Settings from the environment and .env, and the model map they name; knows nothing about requests."""

import ipaddress
import json
import os
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
from app.setting_types import (
    Setting,
    database_address,
    flag,
    flag_or_auto,
    names,
    number,
    one_of,
    or_auto,
    or_none,
    pairs,
    size,
    text,
)

ROOT = Path(__file__).resolve().parent.parent
ENGINES = ("litellm", "relay", "mock", "chatjimmy", "harmony", "gguf", "replay")
LOOK_EVERY = 1.0  # seconds between two looks at the file's date

def folder(value: str) -> Path:
    return ROOT / Path(value).expanduser()


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
    worker_class: str = row(
        "GATEWAY_WORKER_CLASS", "gthread", one_of("gthread", "gevent"),
        "gunicorn worker class: gthread, or gevent (./run.sh --gevent installs it)",
    )  # fmt: skip
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
        "DATABASE_URL", "", database_address,
        "postgresql://… shared by several machines (./run.sh --postgres installs its driver); unset: SQLite in the data folder",
        secret=True,
    )  # fmt: skip
    signature_days: float = row(
        "GATEWAY_SIGNATURE_DAYS", "30", number(0, 3650, float),
        "days a thought signature is kept for clients that drop it; 0: not at all",
    )
    signature_limit: int = row(
        "GATEWAY_SIGNATURE_LIMIT", "200000", number(0, 100_000_000), "thought signatures kept at most, the newest ones"
    )
    trace: str = row(
        "GATEWAY_TRACE", "chunks", one_of("off", "headers", "bodies", "chunks"), "how much of each request is stored"
    )
    trace_days: float = row("GATEWAY_TRACE_DAYS", "7", number(0, 3650, float), "days a stored request is kept")
    trace_count: int = row("GATEWAY_TRACE_COUNT", "10000", number(0, 10_000_000), "requests kept at most, the newest ones")
    trace_size: int = row("GATEWAY_TRACE_SIZE", "1GB", size, "room for stored requests, such as 500MB")
    inspector: bool = row("GATEWAY_INSPECTOR", "1", flag, "0: no inspector page and no API behind it")

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
