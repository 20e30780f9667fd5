"""`python -m app diag`: prints what app/diagnosis.py finds: for people, or as JSON to put into a report."""

import sys
from collections.abc import Iterator
from typing import Any

import click

from app.commands.options import BAD_SETTINGS, FAULTS, HELP, as_json, model_folders, to_json, verbose, version
from app.commands.serve import why_not
from app.commands.terminal import coloured
from app.config import Settings
from app.errors import ConfigError
from app.local_models.rows import size_text
from app.log_writer import one_line

WIDTH = 12
LONGEST = 500
SHOWN = 20  # lines of one list without -v
COLOURS = {"error": "bad", "warning": "key"}


@click.command(context_settings=HELP)
@click.option("--network", is_flag=True, help="Also ask each upstream whether it is there (no key is sent).")
@model_folders
@as_json
@verbose("Also list settings that are as they were, and long lists whole.")
@version
def diag(network: bool, as_json: bool, verbose: bool) -> None:
    """Look over this installation: versions, settings, folders with models, memory, database, port, upstreams.

    Keys are shown by their ends. Nothing is changed, and without --network nobody is asked.

    Exit codes: 0 nothing worse than warnings; 1 something cannot work; 2 the command or the settings were wrong.
    """
    from app.diagnosis import diagnose

    settings, reason = None, None
    try:
        settings = Settings.load()
    except ConfigError as error:
        reason = str(error)
    found = diagnose(settings, reason, why_not, network)
    if as_json:
        click.echo(to_json({"ok": found.ok, "problems": found.problems, **found.facts}))
    else:
        for line in as_lines(found.facts, found.problems, verbose):
            click.echo(line)
    sys.exit(BAD_SETTINGS if settings is None else 0 if found.ok else FAULTS)


def as_lines(facts: dict[str, Any], problems: list[dict[str, str]], verbose: bool) -> Iterator[str]:
    """Yield facts and problems as lines for people; names of files cannot steer a terminal."""
    versions, machine = dict(facts["versions"]), facts["machine"]
    yield line("gateway", versions.pop("gateway"))
    yield line("versions", ", ".join(f"{name} {version or '(not installed)'}" for name, version in versions.items()))
    free = machine["available_bytes"]
    yield line("machine", f"{machine['architecture']}, {machine['cores']} cores, "
                          f"{size_text(machine['total_bytes'])} of memory{free and f', {size_text(free)} free' or ''}")
    if "settings" in facts:
        yield from _server(facts)
        yield from _settings(facts["settings"], verbose)
        yield from _local(facts["local_models"], verbose)
    yield ""
    for problem in problems:
        level = coloured(problem["level"], COLOURS[problem["level"]])
        yield f"{level}: {one_line(problem['about'])}: {one_line(problem['message'], LONGEST)}"
    count = sum(problem["level"] == "error" for problem in problems)
    yield f"{count} errors, {len(problems) - count} warnings"


def line(name: str, text: object) -> str:
    """Return one line of the report."""
    return f"{name:{WIDTH}}{one_line(text, LONGEST)}".rstrip()


def _server(facts: dict[str, Any]) -> Iterator[str]:
    server, database = facts["server"], facts["database"]
    yield line("listens at", f"{server['host']}:{server['port']} ({'free' if server['free'] else 'not free'} now)")
    writable = {True: "can be written", False: "cannot be written", None: "not asked; see --network"}[database["writable"]]
    yield line("database", f"{database['path'] or database['kind']} ({writable})")
    yield line("model map", facts["model_map"]["path"] or "built in")
    for upstream in facts["upstreams"]:
        key = f"key {upstream['key']} from {upstream['key_source']}" if upstream["key"] else "no key"
        answered = {True: f", answered in {upstream['seconds']} s", False: ", DOES NOT ANSWER", None: ""}
        yield line("upstream", f"{upstream['provider']} at {upstream['url']} ({key}{answered[upstream['reachable']]})")


def _settings(rows: list[dict[str, Any]], verbose: bool) -> Iterator[str]:
    shown = [row for row in rows if verbose or row["source"] != "default"]
    for row in shown:
        yield line("setting", f"{row['name']}={row['value'] or ''} ({row['source']})")
    if not verbose:
        yield line("setting", f"{len(rows) - len(shown)} as they were; -v lists them")


def _local(here: dict[str, Any], verbose: bool) -> Iterator[str]:
    if not here["on"]:
        yield line("local", "models on this machine are not looked for (GATEWAY_LOCAL_MODELS=0)")
        return
    engine = "is not installed (./run.sh --local)" if not here["installed"] else "runs" if here["runs"] else "DOES NOT RUN"
    yield line("local", f"llama.cpp {engine}; models may take {size_text(here['memory_bytes'])}, "
                        f"each uses {here['threads']} of the cores")
    keeper = here["keeper"]
    loaded = ", ".join(f"{model['name']} {model['state']}" for model in keeper["models"]) or "nothing"
    yield line("keeper", f"running, holds {loaded} (log: {keeper['log']})" if keeper["running"] else "not running")
    yield from _short("folder", [_folder(row) for row in here["folders"] if row["exists"] or verbose], verbose)
    absent = sum(not row["exists"] for row in here["folders"])
    if absent and not verbose:
        yield line("folder", f"{absent} more that do not exist; -v lists them")
    yield from _short("model", [f"{row['name']}: {row['path']}" for row in here["models"] if not row["problem"]], verbose)
    yield from _short("skipped", [f"{row['path']}: {row['why']}" for row in here["skipped"]], verbose)


def _folder(row: dict[str, Any]) -> str:
    return f"{row['path']} ({row['models']} models)" if row["exists"] else f"{row['path']} (does not exist)"


def _short(name: str, texts: list[str], verbose: bool) -> Iterator[str]:
    for text in texts if verbose else texts[:SHOWN]:
        yield line(name, text)
    if len(texts) > SHOWN and not verbose:
        yield line(name, f"and {len(texts) - SHOWN} more; -v lists them")
