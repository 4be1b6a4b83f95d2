"""What the stage itself asks for an object: StylizeAPI, where the nearest prim with an opinion wins."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Sdf, Usd, UsdGeom, Vt

from usdstylize.config.options import DIAL_RANGE, WEIGHTS, is_weight
from usdstylize.errors import SettingsError, TextureError
from usdstylize.imaging.encoding import linear_to_srgb
from usdstylize.model.objects import ObjectSettings
from usdstylize.styles import MOST_COLORS
from usdstylize.usd.io.colorspaces import linear_rec709
from usdstylize.usd.io.udim import is_udim, resolve_tiles

__all__ = ["StageSettings"]

_SCHEMA = "StylizeAPI"
_NAMESPACE = "stylize"
_TYPES: dict[str, tuple[type, str]] = {
    "enabled": (bool, "bool"),
    "styleImages": (Sdf.AssetPathArray, "asset[]"),
    "palette": (Vt.Vec3fArray, "color3f[]"),
    "strength": (float, "float"),
    "styleWeights": (Vt.FloatArray, "float[]"),
    "patternWidth": (float, "float"),
    "patternScale": (float, "float"),
    "textureResolution": (int, "int"),
    "seed": (int, "int"),
    "mask": (Sdf.AssetPath, "asset"),
}
"""Expected types, which are checked: a layer may author a value of any type."""

_Attributes = Mapping[str, Usd.Attribute]


class StageSettings:
    """Reads settings, and remembers what each prim has authored or inherited."""

    def __init__(self) -> None:
        self._known: dict[Sdf.Path, _Attributes] = {Sdf.Path.absoluteRootPath: {}}
        self._unapplied: dict[Sdf.Path, tuple[str, ...]] = {Sdf.Path.absoluteRootPath: ()}

    def read(self, prim: Usd.Prim) -> ObjectSettings:
        """What the prim and its ancestors ask for. Raises SettingsError naming the attribute."""
        authored = self._authored(prim)
        strength = _value(authored.get("strength"))
        scale = _value(authored.get("patternScale"))
        width = _value(authored.get("patternWidth"))
        resolution = _value(authored.get("textureResolution"))
        seed = _value(authored.get("seed"))
        if strength is not None and not DIAL_RANGE[0] <= strength <= DIAL_RANGE[1]:
            raise _refused(authored["strength"], strength, "is out of range; give 0 to 2")
        if scale is not None and not 0 < scale < math.inf:
            raise _refused(authored["patternScale"], scale, "is out of range; give more than 0")
        if width is not None and not 0 < width < math.inf:
            raise _refused(authored["patternWidth"], width, "is out of range; give stage units, more than 0")
        if resolution is not None and not 16 <= resolution <= 16384:
            raise _refused(authored["textureResolution"], resolution, "is out of range; give 16 to 16384")
        if seed is not None and seed < 0:
            raise _refused(authored["seed"], seed, "is out of range; give 0 or more")
        return ObjectSettings(
            style_images=_images(authored.get("styleImages")),
            style_weights=_weights(authored.get("styleWeights"), authored.get("styleImages")),
            palette=_palette(authored.get("palette")),
            strength=strength,
            pattern_width=None if width is None else width * UsdGeom.GetStageMetersPerUnit(prim.GetStage()),
            pattern_scale=scale,
            texture_resolution=resolution,
            seed=seed,
            mask_image=_mask(authored.get("mask")),
        )

    def disabled_by(self, prim: Usd.Prim) -> str | None:
        """Path of the prim whose ``stylize:enabled = false`` holds for this one, None where none does.

        Raises SettingsError where that is no bool.
        """
        attribute = self._authored(prim).get("enabled")
        if attribute is None or _value(attribute) is not False:
            return None
        return str(attribute.GetPrim().GetPath())

    def remarks(self, prim: Usd.Prim) -> tuple[str, ...]:
        """A sentence for each prim, this one or above, whose settings have no effect."""
        self._authored(prim)
        return self._unapplied[prim.GetPath()]

    def _authored(self, prim: Usd.Prim) -> _Attributes:
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
                if isinstance(item, Usd.Attribute) and item.GetBaseName() in _TYPES
            }
            self._known[path], self._unapplied[path] = self._known[above], self._unapplied[above]
            if own and _has_schema(below):
                self._known[path] = {**self._known[above], **own}
            elif own:
                remark = (
                    f"{path} authors {_NAMESPACE}: properties without {_SCHEMA}; apply it for them to count."
                )
                self._unapplied[path] = (*self._unapplied[above], remark)
        return self._known[chain[0].GetPath() if chain else prim.GetPath()]


def _has_schema(prim: Usd.Prim) -> bool:
    # Not HasAPI, which knows nothing of a schema that was registered after USD's registry was built.
    applied = prim.GetMetadata("apiSchemas")
    return applied is not None and _SCHEMA in applied.ApplyOperations([])


def _value(attribute: Usd.Attribute | None) -> Any:
    """None where it is not authored, or the nearest opinion blocks it. Raises SettingsError."""
    if attribute is None:
        return None
    value = attribute.Get()
    kind, name = _TYPES[attribute.GetBaseName()]
    if value is not None and type(value) is not kind:
        raise SettingsError(
            f"{attribute.GetPath()} has a value that is no {name}, as {_SCHEMA} wants one; author it anew."
        )
    return value


def _images(attribute: Usd.Attribute | None) -> tuple[Path, ...]:
    found = []
    for asset in _value(attribute) or ():
        if not asset.resolvedPath:
            raise _refused(attribute, f"@{asset.path}@", "does not resolve; restore the file or fix the path")
        found.append(Path(asset.resolvedPath))
    return tuple(found)


def _mask(attribute: Usd.Attribute | None) -> Path | None:
    asset = _value(attribute)
    if attribute is None or asset is None or not asset.path:
        return None
    resolved = asset.resolvedPath
    if is_udim(asset.path):
        resolved, _ = resolve_tiles(attribute, asset.path, Usd.TimeCode.Default())
    if not resolved:
        raise _refused(attribute, f"@{asset.path}@", "does not resolve; restore the file or fix the path")
    return Path(resolved)


def _weights(attribute: Usd.Attribute | None, images: Usd.Attribute | None) -> tuple[float, ...]:
    weights = tuple(map(float, _value(attribute) or ()))
    count = len(_value(images) or ())
    if not weights:
        return ()
    if len(weights) != count:
        wrong = f"are not one for each of the {count} stylize:styleImages; author as many"
        raise _refused(attribute, f"{len(weights)} values", wrong)
    for weight in weights:
        if not is_weight(weight):
            raise _refused(attribute, weight, f"is out of range; give {WEIGHTS}")
    if not any(weights):
        raise _refused(attribute, weights[0], "leaves no image; give one of them more than 0")
    return weights


def _palette(attribute: Usd.Attribute | None) -> tuple[tuple[float, float, float], ...]:
    """sRGB-encoded 0..1."""
    colors = _value(attribute) or ()
    if attribute is None or not colors:
        return ()
    if len(colors) > MOST_COLORS:
        raise _refused(attribute, f"{len(colors)} colours", f"are too many; give {MOST_COLORS} at most")
    for color in colors:
        if not all(math.isfinite(channel) for channel in color):
            raise _refused(attribute, color, "is no colour; author it anew")
    try:
        linear = linear_rec709(np.array(colors, np.float32), attribute)
    except TextureError as problem:
        raise SettingsError(str(problem)) from problem
    palette = np.clip(linear_to_srgb(linear), 0.0, 1.0).tolist()
    return tuple((red, green, blue) for red, green, blue in palette)


def _refused(attribute: Usd.Attribute | None, value: Any, problem: str) -> SettingsError:
    where = attribute.GetPath() if attribute else ""
    return SettingsError(f"{where}: {value} {problem}.")
