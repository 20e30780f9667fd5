"""The command line: one group, the options that stand before a command, and which commands there are."""

import errno
import os
import sys
from typing import Any

import click

from app.commands.check import check
from app.commands.diag import diag
from app.commands.export import export
from app.commands.generate import generate
from app.commands.model_list import list_models
from app.commands.options import EXIT_CODES, FAULTS, HELP, INTERRUPTED, version
from app.commands.probe import probe
from app.commands.replay import replay
from app.commands.serve import serve
from app.commands.show import show
from app.commands.tail import tail
from app.commands.terminal import never_fail_on_characters

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Commands(click.Group):
    """A group whose commands end with 130 on Ctrl-C, as shells have it (click's own is 1), and in words on a full disk."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            click.echo("Cancelled.", err=True)
            context.exit(INTERRUPTED)
        except OSError as error:
            if error.errno not in FULL or error.filename is not None:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is not written yet would fail once more at the end
            click.echo(f"Error: the output cannot be written: {error.strerror}", err=True)
            context.exit(FAULTS)


@click.group(cls=Commands, context_settings=HELP, epilog=EXIT_CODES)
@click.option("--verbose", "-v", is_flag=True, help="Tell more; the same as -v behind a command.")
@version
def main(verbose: bool) -> None:
    """OpenCode Gateway: an OpenAI-compatible gateway for coding agents."""
    for stream in (sys.stdout, sys.stderr):
        never_fail_on_characters(stream)


for command in (serve, generate, list_models, probe, diag, check, tail, show, export, replay):
    main.add_command(command)
