"""What commands share: folders of models as an option, settings or a sentence, JSON that cannot steer a terminal."""

import json
import os

import click
import pytest
from click.testing import CliRunner

from app.commands.options import as_json, load_settings, masker_of, model_folders, to_json, verbose, version
from app.config import Settings

KEY = "canary-key-0123456789-abcdef"
VARIABLES = ("GATEWAY_MODEL_PATHS", "SHIMMY_BASE_GGUF")


@click.command()
@model_folders
@as_json
@verbose("More.")
@version
def show(as_json: bool, verbose: bool) -> None:
    click.echo(to_json({name: os.environ.get(name) for name in VARIABLES}))


@pytest.fixture
def shown(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:  # setenv first, so that what the command exports is taken back
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    def run(*arguments):
        done = CliRunner().invoke(show, arguments)
        return json.loads(done.stdout) if done.exit_code == 0 else done

    return run


@pytest.fixture
def folders(tmp_path):
    for name in ("a", "b:c", "d"):
        (tmp_path / name).mkdir()
    (tmp_path / "d" / "one.gguf").write_bytes(b"GGUF")
    (tmp_path / "d" / "two.gguf").write_bytes(b"GGUF")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        ((), None),
        (("--model-path", "a"), ["a"]),
        (("--model-dirs", "a;d"), ["a", "d"]),
        (("--model-dirs", "a:d"), ["a", "d"]),
        (("--model-dirs", "b:c"), ["b:c"]),
        (("--model-path", "a", "--model-path", "d"), ["a", "d"]),
    ],
)
def test_folders_become_a_setting_seen_from_where_the_user_stands(shown, folders, arguments, paths):
    wanted = ";".join(str(folders / path) for path in paths) if paths else None
    assert shown(*arguments) == {"GATEWAY_MODEL_PATHS": wanted, "SHIMMY_BASE_GGUF": None}


def test_a_file_is_a_model_of_its_own(shown, folders):
    found = shown("--model-path", "d/one.gguf", "--model-path", "a")
    assert found == {"GATEWAY_MODEL_PATHS": str(folders / "a"), "SHIMMY_BASE_GGUF": str(folders / "d" / "one.gguf")}


@pytest.mark.parametrize("wrong", [("nowhere",), ("d/one.gguf;d/two.gguf",)])
def test_what_is_not_there_is_a_wrong_command(shown, folders, wrong):
    done = shown("--model-path", *wrong)
    assert done.exit_code == 2 and "--model-path" in done.output


def test_settings_that_cannot_be_used_end_the_process(monkeypatch, capsys):
    monkeypatch.setenv("MAX_TOKENS", "many")
    with pytest.raises(SystemExit) as ended:
        load_settings()
    assert ended.value.code == 2 and "MAX_TOKENS" in capsys.readouterr().err


def test_keys_are_masked():
    settings = Settings.load({"GEMINI_API_KEY": KEY}, dotenv=False)
    assert KEY not in masker_of(settings).mask_text(f"refused: {KEY}")


def test_json_holds_no_control_character():
    value = {"text": "\x1b[31m \x07 \x7f \x9b \x85 한국어"}
    text = to_json(value)
    assert json.loads(text) == value and "한국어" in text
    assert not [sign for sign in text if sign != "\n" and (ord(sign) < 32 or 127 <= ord(sign) < 160)]
