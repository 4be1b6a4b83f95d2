"""The inputs of an OmniPBR, except its base colour, as inputs of a UsdPreviewSurface.

Nothing here can render MDL. What each parameter does is taken from OmniPBR's documentation and
from MDL's open `base` module; where our networks cannot do the same, there is a remark.
"""

from collections.abc import Mapping
from typing import Any

from pxr import Sdf, Usd, UsdShade

from usdstylize.errors import ObjectError
from usdstylize.model.objects import StageObject
from usdstylize.usd.io.images import read_header
from usdstylize.usd.io.udim import is_udim, resolve_tiles, tile_files
from usdstylize.usd.shading.inputs import input_value, numbers, producer
from usdstylize.usd.shading.mdl import map_space
from usdstylize.usd.shading.source_inputs import Constant, SourceInput, Stylized, Texture, Untraced

__all__ = ["read_omnipbr_inputs"]


def read_omnipbr_inputs(
    shader: UsdShade.Shader,
    material: UsdShade.Material,
    source: StageObject,
    color: str,
    time: Usd.TimeCode,
) -> tuple[Mapping[str, SourceInput], list[str]]:
    """The inputs of a UsdPreviewSurface that look like an OmniPBR's, and remarks on the rest (see
    `surface_spec.InputReader`).
    """
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
    if source.is_emitted:
        found["emissiveColor"] = Stylized()
    reader.remark_on_the_rest()
    return {name: value for name, value in found.items() if value is not None}, reader.remarks


class _Reader:
    """Reads the inputs of one OmniPBR and collects remarks on what cannot be carried over."""

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
        """The map ``name``, raw unless its colorSpace is sRGB; scale and bias are rgb or one number."""
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

    def remark_on_the_rest(self) -> None:
        """Remarks on what is in use and has no counterpart."""
        lost = []
        if self.flag("enable_emission") and self.source.is_emitted:
            lost.append("the intensity of its emission, which is in physical units")
        elif self.flag("enable_emission"):
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
