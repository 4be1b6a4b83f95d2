"""Runs seeds, each under a watchdog; the last line that is printed names the one that was running."""

import faulthandler
import json
import resource
import sys
import tempfile
import traceback
from pathlib import Path

from mutated.check import Lab

_SECONDS = 60
_MEMORY = 6 << 30
"""Bytes of address space; textures that claim more must be refused, not tried."""


def main(first: int, count: int) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        for seed in range(first, first + count):
            print(json.dumps({"seed": seed}), flush=True)
            faulthandler.dump_traceback_later(_SECONDS, exit=True)
            try:
                what, problems = lab.run(seed)
            except Exception:
                what, problems = "an error that is not typed", [traceback.format_exc()]
            faulthandler.cancel_dump_traceback_later()
            if problems:
                failed += 1
                print(json.dumps({"seed": seed, "what": what, "problems": problems}), flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    arguments = [int(word) for word in sys.argv[1:3]]
    sys.exit(main(arguments[0], arguments[1] if len(arguments) > 1 else 1))
