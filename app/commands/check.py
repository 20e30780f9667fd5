"""`python -m app check`: prints what app/check.py finds."""

import os
import sys
from dataclasses import asdict
from pathlib import Path

import click

from app.commands.options import FAULTS, HELP, as_json, to_json, verbose, version
from app.config import Settings


@click.command(context_settings=HELP)
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@as_json
@verbose("Also list what each model name leads to.")
@version
def check(path: Path | None, as_json: bool, verbose: bool) -> None:
    """Check opencode.json (or the one at PATH) and the settings.

    Exit code 0: nothing worse than warnings. 1: something in it cannot work. 2: the command was wrong.
    """
    from app.check import ERROR
    from app.check import check as find

    findings = find(path.resolve() if path else None)
    faults = [finding for finding in findings if finding.level == ERROR]
    if as_json:
        click.echo(to_json([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{finding.level}: {finding.path}: {finding.message}")
        if verbose and not faults:
            list_targets(path)
        click.echo(f"{len(faults)} errors, {len(findings) - len(faults)} warnings")
    sys.exit(FAULTS if faults else 0)


def list_targets(path: Path | None) -> None:
    """Print one line for each model name: where it leads, by which engine, with which key."""
    from app.utils.model_resolver import list_models, resolve_model

    settings = Settings.load({**os.environ, "OPENCODE_CONFIG": str(path.resolve())} if path else os.environ)
    for model in list_models(settings):
        target = resolve_model(model.id, settings)
        where = f"{target.provider_id}/{target.model}"
        click.echo(f"{model.id} -> {where} (engine {target.engine_name}, key: {target.key_source})")
