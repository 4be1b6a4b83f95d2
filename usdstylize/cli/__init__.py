"""The command line: verbs and options, console output, progress."""

from usdstylize.cli.commands import run

__all__ = ["run"]
