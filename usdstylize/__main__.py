"""``python -m usdstylize`` and the ``usdstylize`` command."""

import io
import os
import sys

from usdstylize import interrupts
from usdstylize.cli import run


def main() -> None:
    """Run the command line and leave with its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A log that is no UTF-8 must not end a run over a prim's name; stderr is like that already.
        sys.stdout.reconfigure(errors="backslashreplace")
    # A farm ends a task with SIGTERM, a closed ssh session with SIGHUP: what is done is kept, as by Ctrl-C.
    interrupts.install()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and "LOCAL_RANK" in os.environ:  # torchrun started it
        from usdstylize.distributed import run_in_torchrun

        sys.exit(run_in_torchrun(run))
    sys.exit(run())


if __name__ == "__main__":
    main()
