"""Validate stages in an OpenUSD that knows MaterialX: every validator, nothing excused.

Run by a Python of its own that has `usd-exchange` (its own pxr, built with usdMtlx) and
`MaterialX` (the whole node library), never by the one that has usd-core.

    python validate_with_usdmtlx.py STAGE…

Prints a line per error; the exit code is 1 where there is one.
"""

import importlib.util
import os
import sys
from pathlib import Path

# Read when usdMtlx loads, so before pxr: usd-exchange itself carries a part of the library only,
# without the colour transforms. MaterialX is not imported, for its libraries are not usd-exchange's.
_spec = importlib.util.find_spec("MaterialX")
if _spec is None or _spec.origin is None:
    sys.exit("This Python has no MaterialX; pip install usd-exchange MaterialX.")
os.environ["PXR_MTLX_STDLIB_SEARCH_PATHS"] = str(Path(_spec.origin).parent / "libraries")

from pxr import Sdr, Usd, UsdValidation  # noqa: E402


def main() -> None:
    node = "ND_srgb_texture_to_lin_rec709_color3"
    if not Sdr.Registry().GetShaderNodeByIdentifier(node):
        sys.exit(f"This OpenUSD does not know {node}, so it cannot judge MaterialX networks.")
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    found = []
    for path in sys.argv[1:]:
        stage = Usd.Stage.Open(path)
        found += [str(error) for error in stage.GetCompositionErrors()]
        for error in UsdValidation.ValidationContext(validators).Validate(stage):
            found.append(f"{path}: {error.GetName()}: {error.GetMessage()}")
    print("\n".join(found) or f"{len(validators)} validators, no error")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
