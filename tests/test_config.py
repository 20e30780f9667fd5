import os
import threading
from pathlib import Path

import pytest

from app.config import ROOT, SETTINGS, Settings, SettingsStore, check_bind, is_loopback
from app.errors import ConfigError


def load(**environ: str) -> Settings:
    return Settings.load(environ, dotenv=False, opencode={})


# --- values --------------------------------------------------------------------------------------------------------


def test_the_described_defaults():
    settings = load()
    assert (settings.host, settings.port, settings.engine) == ("127.0.0.1", 8000, "litellm")
    assert (settings.max_tokens, settings.temperature, settings.tool_choice) == (1000, 0.7, "auto")
    assert settings.gemini_api_base == "https://generativelanguage.googleapis.com/v1beta/openai/"
    assert (settings.debug, settings.verbose, settings.api_keys, settings.gemini_api_key) == (False, None, (), None)
    assert settings.max_body_bytes == 64 * 1024 * 1024
    assert settings.data_dir == ROOT / "var"


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    (
        ("PORT", "9001", "port", 9001),
        ("PORT", " 9001 ", "port", 9001),
        ("PORT", "", "port", 8000),
        ("DEBUG", "True", "debug", True),
        ("DEBUG", "oFF", "debug", False),
        ("MAX_TOKENS", "none", "max_tokens", None),
        ("MAX_TOKENS", "5000", "max_tokens", 5000),
        ("TEMPERATURE", "None", "temperature", None),
        ("TEMPERATURE", "0", "temperature", 0.0),
        ("GATEWAY_TOOL_CHOICE", "none", "tool_choice", None),
        ("GATEWAY_ENGINE", "Relay", "engine", "relay"),
        ("GATEWAY_API_KEYS", " a, b ,,", "api_keys", ("a", "b")),
        ("GATEWAY_VERBOSE", "1", "verbose", True),
        ("GATEWAY_VERBOSE", "auto", "verbose", None),
        ("GATEWAY_DATA_DIR", "/srv/data", "data_dir", Path("/srv/data")),
        ("GATEWAY_REPAIRS", "gemini.schema=warn, tool.id=OFF", "repairs", {"gemini.schema": "warn", "tool.id": "off"}),
        ("GATEWAY_ON_TRUNCATED", "length", "on_truncated", "length"),
        ("GATEWAY_CONNECT_TIMEOUT", "0.5", "connect_timeout", 0.5),
    ),
)
def test_values_are_parsed(name, value, attribute, expected):
    assert getattr(load(**{name: value}), attribute) == expected


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    (
        ("PORT", "eighty", "a whole number from 0 to 65535"),
        ("PORT", "70000", "a whole number from 0 to 65535"),
        ("DEBUG", "maybe", "true, yes, on"),
        ("MAX_TOKENS", "0", "or none"),
        ("TEMPERATURE", "nan", "a number from 0 to 2"),
        ("GATEWAY_TOOL_CHOICE", "any", "auto, required, or none"),
        ("GATEWAY_ENGINE", "magic", "litellm, relay, mock"),
        ("GATEWAY_LANG", "de", "en, ko"),
        ("GATEWAY_REPAIRS", "tool.id", "rule=fix|warn|off"),
        ("GATEWAY_WORKER_CLASS", "sync", "gthread, gevent"),
    ),
)
def test_a_bad_value_names_the_variable_and_what_is_allowed(name, value, allowed):
    with pytest.raises(ConfigError) as caught:
        load(**{name: value})
    assert name in str(caught.value)
    assert allowed in str(caught.value)


def test_attributes_follow_the_variables():
    settings = load()
    for setting in SETTINGS:
        assert hasattr(settings, setting.name.removeprefix("GATEWAY_").lower()), setting.name
        assert setting.help and "\n" not in setting.help


def test_no_key_shows_in_repr():
    environ = {"GEMINI_API_KEY": "canary-1", "GROQ_API_KEY": "canary-2", "GATEWAY_API_KEYS": "canary-3"}
    model_map = {"provider": {"p": {"options": {"apiKey": "canary-4"}, "models": {"m": {}}}}}
    settings = Settings.load(environ, dotenv=False, opencode=model_map)
    assert settings.gemini_api_key == "canary-1"
    assert settings.opencode.providers["p"]["options"]["apiKey"] == "canary-4"
    assert "canary" not in repr(settings) + repr(settings.opencode)


def test_env_example_lists_every_setting_with_its_help_and_default():
    example = (ROOT / ".env.example").read_text("utf-8")
    for setting in SETTINGS:
        if setting.name != "GATEWAY_ENV_FILE":  # cannot name the file that it stands in
            assert f"# {setting.help}\n#{setting.name}={setting.default}\n" in example
    listed = [
        line[1:].partition("=")[0] for line in example.splitlines() if line[:1] == "#" and line[1:2] not in (" ", "")
    ]
    assert listed == [setting.name for setting in SETTINGS if setting.name != "GATEWAY_ENV_FILE"]


# --- .env ----------------------------------------------------------------------------------------------------------


def test_the_environment_wins_over_the_env_file(tmp_path):
    file = tmp_path / "my.env"
    file.write_text('\ufeffPORT=9001\nMODEL_NAME="from file"\nHOST=127.0.0.2\n', "utf-8")
    environ = {"GATEWAY_ENV_FILE": str(file), "PORT": "9002", "HOST": ""}
    settings = Settings.load(environ, opencode={})
    assert (settings.port, settings.model_name, settings.host) == (9002, "from file", "127.0.0.2")


def test_a_named_env_file_must_exist(tmp_path):
    with pytest.raises(ConfigError, match="GATEWAY_ENV_FILE"):
        Settings.load({"GATEWAY_ENV_FILE": str(tmp_path / "none.env")})


# --- bind ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "loopback"),
    (
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("gateway.example", False),
    ),
)
def test_a_wide_bind_needs_keys(host, loopback):
    assert is_loopback(host) is loopback
    check_bind(load(HOST=host, GATEWAY_API_KEYS="secret"))
    if loopback:
        check_bind(load(HOST=host))
    else:
        with pytest.raises(ConfigError, match=r"Set GATEWAY_API_KEYS=.*HOST=127\.0\.0\.1"):
            check_bind(load(HOST=host))


# --- reload --------------------------------------------------------------------------------------------------------


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "opencode.json"
    write(path, "one")
    return path


def write(path: Path, *models: str) -> None:
    listed = ", ".join(f'"{model}": {{}}' for model in models)
    path.write_text(f'{{"provider": {{"p": {{"models": {{{listed}}}}}}}}}', "utf-8")


def store_of(path: Path) -> tuple[SettingsStore, Clock, list[str]]:
    clock, log = Clock(), []
    settings = Settings.load({"OPENCODE_CONFIG": str(path)}, dotenv=False)
    return SettingsStore(settings, clock, log.append), clock, log


def models(store: SettingsStore) -> list[str]:
    return list(store.current.opencode.providers["p"]["models"])


def test_an_edit_is_seen_at_the_next_look_and_looks_are_a_second_apart(file):
    store, clock, _ = store_of(file)
    first = store.current
    write(file, "one", "two")
    clock.now += 0.9
    assert store.current is first
    clock.now += 0.2
    assert models(store) == ["one", "two"]
    assert store.problem is None


def test_an_unchanged_file_keeps_the_same_settings(file):
    store, clock, log = store_of(file)
    first = store.current
    clock.now += 60
    assert store.current is first
    assert log == []


def test_a_broken_edit_keeps_the_old_map_and_says_why_once(file):
    store, clock, log = store_of(file)
    file.write_text('{"provider": {"p": 7}}', "utf-8")
    for _ in range(3):
        clock.now += 2
        assert models(store) == ["one"]
    assert "provider.p: must be an object" in store.problem
    assert log == [store.problem]
    write(file, "mended")
    clock.now += 2
    assert models(store) == ["mended"]
    assert store.problem is None


def test_a_file_that_is_gone_keeps_the_old_map(file):
    store, clock, _ = store_of(file)
    file.unlink()
    clock.now += 2
    assert models(store) == ["one"]
    assert str(file) in store.problem
    write(file, "back")
    clock.now += 2
    assert models(store) == ["back"]


def test_a_changed_key_file_is_read_again(tmp_path, file):
    (tmp_path / "key").write_text("first\n", "utf-8")
    file.write_text('{"provider": {"p": {"options": {"apiKey": "{file:key}"}}}}', "utf-8")
    store, clock, _ = store_of(file)
    assert store.current.opencode.providers["p"]["options"]["apiKey"] == "first"
    (tmp_path / "key").write_text("the second\n", "utf-8")
    clock.now += 2
    assert store.current.opencode.providers["p"]["options"]["apiKey"] == "the second"


def test_threads_see_the_new_map_and_never_a_broken_one(file):
    store, clock, log = store_of(file)
    write(file, "one", "two")
    clock.now += 2
    seen: list[list[str]] = []
    threads = [threading.Thread(target=lambda: seen.append(models(store))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found in (["one"], ["one", "two"]) for found in seen)
    assert models(store) == ["one", "two"]
    assert len(log) == 1


def test_a_named_map_must_exist(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        Settings.load({"OPENCODE_CONFIG": str(tmp_path / "none.json")}, dotenv=False)


def test_the_real_environment_loads():
    assert Settings.load({**os.environ, "GATEWAY_ENGINE": "mock"}, dotenv=False).engine == "mock"
