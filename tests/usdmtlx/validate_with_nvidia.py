"""Judge stages by NVIDIA's asset validator: every rule that it enables by default, every variant.

Run by the Python that has `usd-exchange`, `MaterialX` and `usd-validation-nvidia`, as
validate_with_usdmtlx.py is, so that MaterialX's nodes are known to it.

    python validate_with_nvidia.py STAGE…

Prints a JSON object: per stage a list of [rule, severity, where, message].
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

_spec = importlib.util.find_spec("MaterialX")
if _spec is None or _spec.origin is None:
    sys.exit("This Python has no MaterialX; pip install usd-exchange MaterialX usd-validation-nvidia.")
os.environ["PXR_MTLX_STDLIB_SEARCH_PATHS"] = str(Path(_spec.origin).parent / "libraries")

from pxr import Sdr  # noqa: E402
from usd_validation_nvidia import Issue, ValidationEngine  # noqa: E402


def describe(issue: Issue) -> list[str]:
    rule = issue.rule.__name__ if issue.rule else ""
    severity = issue.severity.name if issue.severity else ""
    places = issue.at if isinstance(issue.at, (list, tuple)) else [issue.at] if issue.at else []
    return [rule, severity, ", ".join(place.as_str() for place in places), issue.message or ""]


def main() -> None:
    node = "ND_srgb_texture_to_lin_rec709_color3"
    if not Sdr.Registry().GetShaderNodeByIdentifier(node):
        sys.exit(f"This OpenUSD does not know {node}, so it cannot judge MaterialX networks.")
    found = {}
    for path in sys.argv[1:]:
        found[path] = [describe(issue) for issue in ValidationEngine().validate(path)]
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
