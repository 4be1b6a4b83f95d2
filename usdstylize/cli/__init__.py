"""The command line: verbs and options, what the console says, how progress is shown."""

from usdstylize.cli.commands import run

__all__ = ["run"]
