"""Stages that ask for settings of their own (StylizeAPI)."""

from pathlib import Path
from typing import Any

from pxr import Sdf, Usd

from usdstylize import Options

QUICK = Options(preset="draft", device="cpu", texture_resolution=None, iterations=2)
_Types = Sdf.ValueTypeNames
TYPES = {
    "enabled": _Types.Bool,
    "styleImages": _Types.AssetArray,
    "styleWeights": _Types.FloatArray,
    "palette": _Types.Color3fArray,
    "strength": _Types.Float,
    "patternWidth": Sdf.ValueTypeNames.Float,
    "patternScale": _Types.Float,
    "textureResolution": _Types.Int,
    "seed": _Types.Int,
    "mask": _Types.Asset,
}


def say(prim: Usd.Prim, **properties: Any) -> None:
    """Apply the schema and author its properties."""
    prim.AddAppliedSchema("StylizeAPI")
    for name, value in properties.items():
        prim.CreateAttribute(f"stylize:{name}", TYPES[name], False, Sdf.VariabilityUniform).Set(value)


def edit(root: Path, **prims: dict[str, Any]) -> Path:
    """Author properties on prims of the tiny stage, named by their last name."""
    opened = Usd.Stage.Open(str(root))
    for name, properties in prims.items():
        say(opened.GetPrimAtPath("/World" if name == "World" else f"/World/{name}"), **properties)
    opened.Save()
    return root
