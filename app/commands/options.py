"""What all commands share: options, exit codes, settings, and how a command ends with one sentence."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from app.banner import NAME
from app.config import Settings
from app.errors import ConfigError
from app.local_models.places import split_paths
from app.utils.masking import Masker
from app.version import VERSION

HELP = {"help_option_names": ["-h", "--help"]}
FAULTS, BAD_SETTINGS, INTERRUPTED = 1, 2, 130  # exit codes: it did not work / could not be tried / Ctrl-C
EXIT_CODES = "Exit codes: 0 done; 1 it failed; 2 the command or the settings were wrong; 130 Ctrl-C."
# DEL and C1, marks and overrides of direction, line separators, tags.
_NOT_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]")

Command = TypeVar("Command", bound=Callable[..., Any])


def _or_of_the_group(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    """`python -m app -v list` means the same as `python -m app list -v`."""
    return value or bool(context.parent and context.parent.params.get("verbose"))


def verbose(help: str) -> Callable[[Command], Command]:
    """Add -v; `help` says what it tells more of."""
    return click.option("--verbose", "-v", is_flag=True, callback=_or_of_the_group, help=help)


version = click.version_option(VERSION, "--version", "-V", message=f"{NAME} {VERSION}")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def _export_folders(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> None:
    found = [path for each in value for path in split_paths(each, Path.home(), Path.cwd())]
    files = [path for path in found if path.is_file()]
    missing = [str(path) for path in found if not path.exists()]
    if missing:
        raise click.BadParameter(f"there is no {', '.join(missing)}")
    if len(files) > 1:
        raise click.BadParameter("name folders, or one file")
    if files:
        export(SHIMMY_BASE_GGUF=files[0])
    if folders := [str(path) for path in found if not path.is_file()]:
        export(GATEWAY_MODEL_PATHS=";".join(folders))


model_folders = click.option(
    "--model-path", "--model-dirs", multiple=True, expose_value=False, callback=_export_folders, metavar="FOLDERS",
    help="More folders with GGUF files, separated by `;`, or one such file. May be repeated. [GATEWAY_MODEL_PATHS]",
)  # fmt: skip


def export(**variables: object) -> None:
    """Hand options on as environment variables: gunicorn and its workers read their settings there."""
    os.environ.update({name: str(value) for name, value in variables.items() if value is not None})


def load_settings() -> Settings:
    """Read the settings; end the process with a sentence where they cannot be used."""
    try:
        return Settings.load()
    except ConfigError as error:
        stop(str(error), BAD_SETTINGS)


def masker_of(settings: Settings) -> Masker:
    """Return what hides every configured key in what is printed."""
    return Masker(settings.secrets)


def to_json(value: object, indent: int | None = 2) -> str:
    """Return JSON with every character that could steer a terminal written as an escape."""
    return harmless(json.dumps(value, ensure_ascii=False, indent=indent))


def harmless(text: str) -> str:
    """Return JSON text that means the same and cannot steer a terminal."""
    return _NOT_IN_JSON.sub(lambda found: json.dumps(found.group())[1:-1], text)


def stop(message: str, code: int = FAULTS) -> NoReturn:
    """Print one sentence on stderr and end the process."""
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)
