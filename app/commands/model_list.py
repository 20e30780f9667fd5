"""`python -m app list`: every model that a request may name: those of opencode.json, and those on this machine."""

from typing import Any

import click

from app.commands.options import EXIT_CODES, HELP, as_json, load_settings, model_folders, to_json, verbose, version
from app.commands.terminal import coloured, table
from app.config import Settings
from app.log_writer import one_line

HEAD = ("MODEL", "PARAMETERS", "QUANTIZATION", "SIZE", "STATE", "FROM")
UPSTREAM, ALIAS, LOCAL = "upstream", "alias", "local"
LONGEST = 500


@click.command("list", context_settings=HELP, epilog=EXIT_CODES)
@click.option("--short", "-s", is_flag=True, help="Names only, of models that can be used.")
@model_folders
@as_json
@verbose("Also tell engines and context lengths.")
@version
def list_models(short: bool, as_json: bool, verbose: bool) -> None:
    """List the models: of opencode.json, and GGUF files on this machine with size, quantisation, state and problems.

    Nothing is downloaded and nobody is asked; `diag` shows the folders that are searched.
    """
    rows = all_rows(load_settings())
    if short:
        names = [row["id"] for row in rows if not row["problem"]]
        click.echo(to_json(names) if as_json else "\n".join(map(one_line, names)), nl=bool(names) or as_json)
    elif as_json:
        click.echo(to_json(rows))
    else:
        for line in as_lines(rows, verbose):
            click.echo(line)


def all_rows(settings: Settings) -> list[dict[str, Any]]:
    """Return the rows of GET /api/models, each with where it leads: `kind`, `engine`, and `leads_to` (provider/model)."""
    from app.local_models import listing
    from app.utils import model_resolver

    known = {info.id: info for info in model_resolver.list_models(settings)}
    rows = []
    for row, _ in listing.all_rows(settings):
        where = {"kind": LOCAL, "engine": listing.ENGINE, "leads_to": None}
        if info := known.get(row["id"]):
            target = model_resolver.resolve_model(info.id, settings)
            where["leads_to"] = f"{target.provider_id}/{target.model}"
            where |= {"kind": ALIAS if info.alias_of else UPSTREAM, "engine": target.engine_name}
        rows.append({**row, **where})
    return rows


def as_lines(rows: list[dict[str, Any]], verbose: bool) -> list[str]:
    """Return rows as a table for people; what a file is called cannot steer a terminal."""
    if not rows:
        return ["There are no models: neither in opencode.json nor on this machine."]
    lines = table([HEAD, *(_cells(row, verbose) for row in rows)])
    shown = [lines[0]]
    for row, line in zip(rows, lines[1:], strict=True):
        shown.append(line)
        if row["problem"]:
            shown.append(coloured(f"    cannot be used: {one_line(row['problem'], LONGEST)}", "bad"))
    return shown


def _cells(row: dict[str, Any], verbose: bool) -> list[str]:
    from app.local_models.rows import size_text

    where = f"{row['path']} ({row['source']})" if row["path"] else row["leads_to"]
    if verbose:
        where = f"{where} (engine {row['engine']}, context {row['context_length'] or 'unknown'})"
    size = size_text(row["size_bytes"]) if row["size_bytes"] else ""
    state = row["state"] if row["local"] else row["kind"]
    cells = (row["id"], row["parameter_count"], row["quantization"], size, state, where)
    return [one_line(cell or "", LONGEST) for cell in cells]
