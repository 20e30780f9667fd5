"""The command line: one group, the options that stand before a command, and which commands there are."""

import sys
from typing import Any

import click

from app.commands.check import check
from app.commands.diag import diag
from app.commands.export import export
from app.commands.generate import generate
from app.commands.model_list import list_models
from app.commands.options import EXIT_CODES, HELP, INTERRUPTED, version
from app.commands.probe import probe
from app.commands.replay import replay
from app.commands.serve import serve
from app.commands.show import show
from app.commands.tail import tail
from app.commands.terminal import never_fail_on_characters


class Commands(click.Group):
    """A group whose commands end with 130 on Ctrl-C, as shells have it; click's own is 1."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            click.echo("Cancelled.", err=True)
            context.exit(INTERRUPTED)


@click.group(cls=Commands, context_settings=HELP, epilog=EXIT_CODES)
@click.option("--verbose", "-v", is_flag=True, help="Tell more; the same as -v behind a command.")
@version
def main(verbose: bool) -> None:
    """OpenCode Gateway: an OpenAI-compatible gateway for coding agents."""
    for stream in (sys.stdout, sys.stderr):
        never_fail_on_characters(stream)


for command in (serve, generate, list_models, probe, diag, check, tail, show, export, replay):
    main.add_command(command)
