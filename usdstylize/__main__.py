"""``python -m usdstylize`` and the ``usdstylize`` command."""

import sys

from usdstylize.cli import run


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run())


if __name__ == "__main__":
    main()
