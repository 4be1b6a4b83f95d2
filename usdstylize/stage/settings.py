"""What the stage itself asks for an object: StylizeAPI, where the nearest prim that says something wins."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pxr import Ar, Gf, Sdf, Usd

from usdstylize.errors import SettingsError
from usdstylize.objects import ObjectSettings

__all__ = ["StageSettings"]

_SCHEMA = "StylizeAPI"
_NAMESPACE = "stylize"
_ENCODED = Gf.ColorSpaceNames.SRGBRec709
_LINEAR = Gf.ColorSpaceNames.LinearRec709
_ALIASES = {"": _LINEAR, "lin_rec709": _LINEAR, "sRGB": _ENCODED, "srgb_texture": _ENCODED}
"""The names that MaterialX and older files use, beside those that USD itself knows."""

_TYPES = {
    "enabled": Sdf.ValueTypeNames.Bool,
    "styleImages": Sdf.ValueTypeNames.AssetArray,
    "palette": Sdf.ValueTypeNames.Color3fArray,
    "strength": Sdf.ValueTypeNames.Float,
    "patternScale": Sdf.ValueTypeNames.Float,
    "textureResolution": Sdf.ValueTypeNames.Int,
    "seed": Sdf.ValueTypeNames.Int,
}
"""For what does not come from the schema: a stage may declare an attribute with any type."""

_Attributes = Mapping[str, Usd.Attribute]


class StageSettings:
    """Reads settings, and remembers what each prim has said or inherited."""

    def __init__(self) -> None:
        self._known: dict[Sdf.Path, _Attributes] = {Sdf.Path.absoluteRootPath: {}}
        self._unapplied: dict[Sdf.Path, tuple[str, ...]] = {Sdf.Path.absoluteRootPath: ()}

    def read(self, prim: Usd.Prim) -> ObjectSettings:
        """What the prim and its ancestors ask for. Raises SettingsError naming the attribute."""
        said = self._said(prim)
        strength = _value(said.get("strength"))
        scale = _value(said.get("patternScale"))
        resolution = _value(said.get("textureResolution"))
        seed = _value(said.get("seed"))
        if strength is not None and not math.isfinite(strength):
            raise _refused(said["strength"], strength, "is no number; give 0 to 1, or somewhat more")
        if scale is not None and not 0 < scale < math.inf:
            raise _refused(said["patternScale"], scale, "is out of range; give more than 0")
        if resolution is not None and not 16 <= resolution <= 16384:
            raise _refused(said["textureResolution"], resolution, "is out of range; give 16 to 16384")
        if seed is not None and seed < 0:
            raise _refused(said["seed"], seed, "is out of range; give 0 or more")
        return ObjectSettings(
            style_images=_images(said.get("styleImages")),
            palette=_palette(said.get("palette")),
            strength=strength,
            pattern_scale=scale,
            texture_resolution=resolution,
            seed=seed,
        )

    def disabled_by(self, prim: Usd.Prim) -> str | None:
        """Path of the prim whose ``stylize:enabled = false`` holds for this one, None where none does."""
        attribute = self._said(prim).get("enabled")
        if attribute is None or attribute.Get() is not False:
            return None
        return str(attribute.GetPrim().GetPath())

    def remarks(self, prim: Usd.Prim) -> tuple[str, ...]:
        """What is authored at or above the prim and does not count."""
        self._said(prim)
        return self._unapplied[prim.GetPath()]

    def _said(self, prim: Usd.Prim) -> _Attributes:
        """By name without its namespace: the attribute of the nearest prim that authors it."""
        chain = []
        while prim.GetPath() not in self._known:
            chain.append(prim)
            prim = prim.GetParent()
        for below in reversed(chain):
            above, path = below.GetPath().GetParentPath(), below.GetPath()
            own = {
                item.GetBaseName(): item
                for item in below.GetAuthoredPropertiesInNamespace(_NAMESPACE)
                if isinstance(item, Usd.Attribute)
            }
            self._known[path], self._unapplied[path] = self._known[above], self._unapplied[above]
            if own and _has_schema(below):
                self._known[path] = {**self._known[above], **own}
            elif own:
                remark = f"{path} authors {_NAMESPACE}: properties without {_SCHEMA}; apply it for them to count."
                self._unapplied[path] = (*self._unapplied[above], remark)
        return self._known[chain[0].GetPath() if chain else prim.GetPath()]


def _has_schema(prim: Usd.Prim) -> bool:
    # Not HasAPI, which knows nothing of a schema that was registered after USD's registry was built.
    applied = prim.GetMetadata("apiSchemas")
    return applied is not None and _SCHEMA in applied.ApplyOperations([])


def _value(attribute: Usd.Attribute | None) -> Any:
    """None where nobody authors it, or the nearest opinion blocks it. Raises SettingsError."""
    if attribute is None:
        return None
    value = attribute.Get()
    name, expected = attribute.GetTypeName(), _TYPES[attribute.GetBaseName()]
    if value is not None and name != expected:
        raise SettingsError(
            f"{attribute.GetPath()} is of type {name} where {_SCHEMA} has {expected}; author it anew."
        )
    return value


def _images(attribute: Usd.Attribute | None) -> tuple[Path, ...]:
    found = []
    for asset in _value(attribute) or ():
        if not asset.resolvedPath:
            raise _refused(attribute, f"@{asset.path}@", "does not resolve; restore the file or fix the path")
        found.append(Path(asset.resolvedPath))
    return tuple(found)


def _palette(attribute: Usd.Attribute | None) -> tuple[tuple[float, float, float], ...]:
    """sRGB-encoded 0..1."""
    colors = _value(attribute) or ()
    if not colors:
        return ()
    authored = str(Usd.ColorSpaceAPI.ComputeColorSpaceName(attribute, None))
    name = _ALIASES.get(authored, authored)
    if not Gf.ColorSpace.IsValid(name):
        raise _refused(attribute, authored, "is a colour space that USD does not know; leave it out for linear")
    encoded, own = Gf.ColorSpace(_ENCODED), Gf.ColorSpace(name)
    palette = []
    for color in colors:
        if not all(math.isfinite(channel) for channel in color):
            raise _refused(attribute, color, "is no colour; author it anew")
        red, green, blue = encoded.Convert(own, color).GetRGB()
        palette.append((_clamped(red), _clamped(green), _clamped(blue)))
    return tuple(palette)


def _clamped(value: float) -> float:
    return min(1.0, max(0.0, float(value)))


def _refused(attribute: Usd.Attribute | None, value: Any, problem: str) -> SettingsError:
    where = attribute.GetPath() if attribute else ""
    return SettingsError(f"{where}: {value} {problem}.")
