"""OmniPBR in the style: its albedo map becomes the bake, its other inputs reach our own networks.

Nothing here can render MDL. What each parameter does is taken from OmniPBR's documentation and
from MDL's open `base` module; where our networks cannot do the same, a remark says so.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pxr import Sdf, Usd, UsdShade

from usdstylize.errors import ObjectError
from usdstylize.model.objects import StageObject
from usdstylize.usd.io.images import read_header
from usdstylize.usd.io.udim import is_udim, resolve_tiles, tile_files
from usdstylize.usd.shading.inputs import input_value, numbers, producer
from usdstylize.usd.shading.mdl import is_omnipbr, map_space, mdl_name, mdl_surface, same_mapping
from usdstylize.usd.shading.source_inputs import Constant, SourceInput, Texture, Untraced
from usdstylize.usd.write.specs import below, prim_spec

__all__ = ["read_omnipbr", "write_mdl"]

_NEUTRAL: dict[str, Any] = {
    "diffuse_tint": (1.0, 1.0, 1.0),
    "albedo_brightness": 1.0,
    "albedo_add": 0.0,
    "albedo_desaturation": 0.0,
}
"""With these an albedo map shows as it is; they are OmniPBR's own defaults."""
_Types = Sdf.ValueTypeNames


def write_mdl(
    layer: Sdf.Layer,
    variant: Sdf.PrimSpec,
    material: UsdShade.Material,
    source: StageObject,
    baked: str | None,
    baked_is_linear: bool,
    time: Usd.TimeCode,
) -> tuple[bool, list[str]]:
    """Point the source's OmniPBR at the bake; returns whether the MDL shows it, and remarks.

    Where it is False, the MDL would show the source, and must be blocked.
    """
    shader = mdl_surface(material)
    if shader is None:
        return False, []
    reason = _why_not(shader, material, source, time)
    if reason:
        return False, [
            f"The MDL {mdl_name(shader)} of {material.GetPath()} {reason}, so it is switched off in the "
            "style, and our networks show instead."
        ]
    if baked is None:
        return False, [f"The MDL of {material.GetPath()} is switched off in the style, as nothing is baked."]
    over = prim_spec(layer, below(variant.path, shader.GetPath().MakeRelativePath(material.GetPath())))
    texture = _plain(over, "diffuse_texture", _Types.Asset, Sdf.AssetPath(baked))
    texture.SetInfo("colorSpace", "raw" if baked_is_linear else "sRGB")
    for name, neutral in _NEUTRAL.items():
        item = shader.GetInput(name)
        if item:
            fits = np.shape(item.GetTypeName().defaultValue) == np.shape(neutral)
            usual = _Types.Color3f if name == "diffuse_tint" else _Types.Float
            _plain(over, name, item.GetTypeName() if fits else usual, neutral)
    return True, []


def _why_not(
    shader: UsdShade.Shader, material: UsdShade.Material, source: StageObject, time: Usd.TimeCode
) -> str:
    """What keeps an MDL from showing the bake; empty where nothing does."""
    if not is_omnipbr(shader):
        return "is not known"
    if not shader.GetPath().HasPrefix(material.GetPath()):
        return "lies outside of its material"
    prim = material.GetPrim().GetStage().GetPrimAtPath(source.mesh_path)
    try:
        same = same_mapping(prim, shader, time, source.uv_primvar, source.uv_transform)
    except ObjectError as problem:
        return f"cannot take the bake ({str(problem).rstrip('.')})"
    return "" if same else "reads its textures at other UVs than the surface that was stylised"


def _plain(spec: Sdf.PrimSpec, name: str, type_name: Sdf.ValueTypeName, value: Any) -> Sdf.AttributeSpec:
    """An input with a value that no connection of the source outdoes."""
    attribute = Sdf.AttributeSpec(spec, f"inputs:{name}", type_name)
    attribute.default = value
    attribute.connectionPathList.ClearEditsAndMakeExplicit()
    return attribute


def read_omnipbr(
    shader: UsdShade.Shader, source: StageObject, time: Usd.TimeCode
) -> tuple[Mapping[str, SourceInput], list[str]]:
    """The inputs of a UsdPreviewSurface that look like an OmniPBR's, and remarks on the rest."""
    reader = _Reader(shader, source, time)
    orm = reader.flag("enable_ORM_texture") and reader.has("ORM_texture")
    found = {
        "roughness": reader.blended(
            "roughness", "reflection_roughness", 0.5, ("ORM_texture", "g") if orm else None
        ),
        "metallic": reader.blended("metallic", "metallic", 0.0, ("ORM_texture", "b") if orm else None),
        "occlusion": reader.occlusion("ORM_texture" if orm else "ao_texture"),
        "ior": reader.ior(),
        "normal": reader.normal(),
        **reader.opacity(),
    }
    reader.tell_the_rest()
    return {name: value for name, value in found.items() if value is not None}, reader.remarks


class _Reader:
    """Asks one OmniPBR for its inputs and collects what cannot be carried over."""

    def __init__(self, shader: UsdShade.Shader, source: StageObject, time: Usd.TimeCode) -> None:
        self.shader = shader
        self.source = source
        self.time = time
        self.remarks: list[str] = []

    def value(self, name: str, default: Any) -> Any:
        try:
            return input_value(self.shader, name, self.time, default)
        except ObjectError as problem:
            self.remarks.append(str(problem))
            return default

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.value(name, default)
        return bool(value) if isinstance(value, bool | int) else default

    def number(self, name: str, default: float) -> float:
        try:
            return numbers(self.shader, name, self.time, (default,))[0]
        except ObjectError as problem:
            self.remarks.append(str(problem))
            return default

    def has(self, name: str) -> bool:
        asset = self.value(name, None)
        return isinstance(asset, Sdf.AssetPath) and bool(asset.path)

    def texture(self, name: str, output: str, scale: Any = 1.0, bias: Any = 0.0) -> SourceInput:
        """The map ``name``, raw unless its colorSpace says sRGB; scale and bias are rgb or one number."""
        asset, resolved = self.value(name, None), ""
        if is_udim(asset.path):
            resolved, tiles = resolve_tiles(producer(self.shader, name), asset.path, self.time)
            first = tile_files(resolved, tiles)[0] if resolved else ""
        else:
            resolved = first = asset.resolvedPath
        if not resolved:
            return Untraced(f"{asset.path} of {self.shader.GetPath()} does not resolve.")
        try:
            channels = read_header(first).channels
        except ObjectError as problem:
            return Untraced(str(problem))
        if output == "mean":
            if channels > 2:
                self.remarks.append(
                    f"OmniPBR takes the mean of the channels of {asset.path}, our networks its red one."
                )
            output = "r"
        if output in ("g", "b") and channels < 3:
            output = "r"
        if output == "a" and channels not in (2, 4):
            return Constant(1.0)
        return Texture(
            file=resolved,
            srgb=map_space(self.shader, name) == "sRGB",
            wrap=("repeat", "repeat"),
            primvar=self.source.uv_primvar,
            transform=self.source.uv_transform,
            scale=_four(scale, 1.0),
            bias=_four(bias, 0.0),
            output=output,
        )

    def blended(
        self, label: str, name: str, default: float, orm: tuple[str, str] | None
    ) -> SourceInput | None:
        """A constant, or a map mixed over it by its influence."""
        constant = self.number(f"{name}_constant", default)
        influence = self.number(f"{name}_texture_influence", 0.0)
        own = "reflectionroughness_texture" if label == "roughness" else "metallic_texture"
        map_name, channel = orm or (own, "mean")
        if influence == 0.0 or not self.has(map_name):
            return Constant(constant)
        return self.texture(map_name, channel, influence, constant * (1.0 - influence))

    def occlusion(self, name: str) -> SourceInput | None:
        share = self.number("ao_to_diffuse", 0.0)
        if share == 0.0 or not self.has(name):
            return None
        return self.texture(name, "r" if name == "ORM_texture" else "mean", share, 1.0 - share)

    def ior(self) -> SourceInput | None:
        """OmniPBR's reflectance at normal incidence is 0.08 times its specular_level."""
        level = self.number("specular_level", 0.5)
        if level == 0.5:
            return None
        root = min(0.99, (0.08 * max(0.0, level)) ** 0.5)
        return Constant((1.0 + root) / (1.0 - root))

    def normal(self) -> SourceInput | None:
        if not self.has("normalmap_texture"):
            return None
        strength = self.number("bump_factor", 1.0)
        # Its maps are DirectX's by default: green points down.
        across = -strength if self.flag("flip_tangent_u") else strength
        up = -strength if self.flag("flip_tangent_v", True) else strength
        return self.texture("normalmap_texture", "rgb", (2 * across, 2 * up, 2.0), (-across, -up, -1.0))

    def opacity(self) -> dict[str, SourceInput]:
        if not self.flag("enable_opacity"):
            return {}
        found: dict[str, SourceInput] = {"opacityThreshold": Constant(self.number("opacity_threshold", 0.0))}
        if self.flag("enable_opacity_texture") and self.has("opacity_texture"):
            mode = int(self.number("opacity_mode", 1))
            found["opacity"] = self.texture("opacity_texture", "a" if mode == 0 else "mean")
        else:
            found["opacity"] = Constant(self.number("opacity_constant", 1.0))
        return found

    def tell_the_rest(self) -> None:
        """Remarks on what is in use and has no counterpart."""
        lost = []
        if self.flag("enable_emission"):
            lost.append("its emission, which is in physical units")
        if self.has("detail_normalmap_texture"):
            lost.append("its detail normal map")
        if self.flag("enable_clearcoat"):
            lost.append("its clear coat")
        if lost:
            self.remarks.append(
                f"Our networks leave out what only the MDL {self.shader.GetPath()} shows: {', '.join(lost)}."
            )


def _four(value: Any, alpha: float) -> tuple[float, float, float, float]:
    if isinstance(value, tuple):
        return (value[0], value[1], value[2], alpha)
    return (value, value, value, value)
