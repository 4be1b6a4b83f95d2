"""What a stage's materials hold, as JSON: prims, ids, values, connections and colour spaces.

Run by the Python that has usd-exchange, whose OpenUSD reads .mtlx documents by itself; imported
by the tests, where ours presents them.

    python dump_materials.py STAGE_OR_DOCUMENT…
"""

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any


def materials(stage: Any) -> dict[str, Any]:
    """{prim path: [type, {attribute: [type, value, connections, colour space]}]} under every Material."""
    from pxr import Usd, UsdShade

    found = {}
    for material in (prim for prim in stage.Traverse() if prim.IsA(UsdShade.Material)):
        for prim in Usd.PrimRange(material):
            attributes = {}
            for attribute in prim.GetAttributes():
                if attribute.GetName().startswith(("inputs:", "outputs:", "info:")):
                    connections = sorted(map(str, attribute.GetConnections()))
                    value = plain(attribute.Get())
                    space = str(attribute.GetColorSpace())
                    attributes[attribute.GetName()] = [
                        str(attribute.GetTypeName()),
                        value,
                        connections,
                        space,
                    ]
            found[str(prim.GetPath())] = [str(prim.GetTypeName()), attributes]
    return found


def plain(value: Any) -> Any:
    if hasattr(value, "path"):
        return value.path
    if hasattr(value, "__len__") and not isinstance(value, str):
        return [plain(item) for item in value]
    return round(value, 5) if isinstance(value, float) else value


if __name__ == "__main__":
    spec = importlib.util.find_spec("MaterialX")
    assert spec is not None
    assert spec.origin is not None
    os.environ["PXR_MTLX_STDLIB_SEARCH_PATHS"] = str(Path(spec.origin).parent / "libraries")
    from pxr import Usd

    print(json.dumps([materials(Usd.Stage.Open(path)) for path in sys.argv[1:]]))
