"""A MaterialX node graph in UsdShade, restricted to the nodes that every renderer gets right.

Traps found by rendering: native UsdPreviewSurface nodes beside ND_ nodes render black;
``ND_texcoord`` is black for a primvar other than ``st``; ``ND_UsdTransform2d`` is wrong in
MaterialX 1.39.3; MaterialX says ``periodic`` where USD says ``repeat``; ``colorSpace`` values other
than ``srgb_texture`` and ``lin_rec709`` are ignored or throw.
"""

from collections.abc import Mapping
from typing import Any

from pxr import Gf, Sdf

from usdstylize.model.affine_uvs import UVTransform
from usdstylize.model.base_colors import Wrap
from usdstylize.usd.shading.evaluate import ADDRESS_MODES
from usdstylize.usd.write.specs import add_node_graph, add_shader

__all__ = ["TYPES", "Graph"]

TYPES = {
    "float": Sdf.ValueTypeNames.Float,
    "integer": Sdf.ValueTypeNames.Int,
    "vector2": Sdf.ValueTypeNames.Float2,
    "vector3": Sdf.ValueTypeNames.Float3,
    "vector4": Sdf.ValueTypeNames.Float4,
    "color3": Sdf.ValueTypeNames.Color3f,
    "string": Sdf.ValueTypeNames.String,
    "filename": Sdf.ValueTypeNames.Asset,
    "token": Sdf.ValueTypeNames.Token,
}
"""MaterialX types as USD writes them; a token is a surface."""

_ZERO: dict[str, Any] = {
    "vector3": Gf.Vec3f(0),
    "vector4": Gf.Vec4f(0),
    "color3": Gf.Vec3f(0),
}


class Graph:
    """Writes the nodes of one NodeGraph; each method returns the output to connect to.

    Texture coordinates and images that are asked for twice are written once.
    """

    def __init__(self, layer: Sdf.Layer, path: Sdf.Path) -> None:
        """``path`` may lie inside a variant."""
        self.layer = layer
        self.path = path
        self.spec = add_node_graph(layer, path)
        self._shared: dict[Any, Sdf.Path] = {}
        self._names: set[str] = set()

    def node(
        self, name: str, identifier: str, inputs: Mapping[str, tuple[str, Any]], output: str
    ) -> Sdf.Path:
        """One shader; types by their MaterialX names, a value that is a path is a connection."""
        unique, number = name, 1
        while unique in self._names:
            number += 1
            unique = f"{name}_{number}"
        self._names.add(unique)
        typed = {key: (TYPES[type_name], value) for key, (type_name, value) in inputs.items()}
        return add_shader(
            self.layer, self.path.AppendChild(unique), identifier, ("out", TYPES[output]), typed
        ).output()

    def binary(
        self, name: str, operation: str, kind: str, left: Any, right: Any, *, by_float: bool = False
    ) -> Sdf.Path:
        """``ND_<operation>_<kind>``; ``by_float`` takes a float on the right (``FA``)."""
        identifier = f"ND_{operation}_{kind}" + ("FA" if by_float else "")
        inputs = {"in1": (kind, left), "in2": ("float" if by_float else kind, right)}
        return self.node(name, identifier, inputs, kind)

    def coordinates(self, primvar: str, transform: UVTransform | None) -> Sdf.Path:
        """Texture coordinates of a primvar, through the arithmetic of a chain of UsdTransform2d."""
        key = ("uv", primvar, transform)
        if key not in self._shared:
            self._shared[key] = self._coordinates(primvar, transform)
        return self._shared[key]

    def _coordinates(self, primvar: str, transform: UVTransform | None) -> Sdf.Path:
        out = self.node(
            "Coordinates", "ND_geompropvalue_vector2", {"geomprop": ("string", primvar)}, "vector2"
        )
        for step in transform.chain() if transform else ():
            out = self.binary("CoordinatesScale", "multiply", "vector2", out, Gf.Vec2f(*step.scale))
            # MaterialX turns clockwise, UsdTransform2d counter-clockwise.
            turned = {"in": ("vector2", out), "amount": ("float", -step.rotation)}
            out = self.node("CoordinatesRotate", "ND_rotate2d_vector2", turned, "vector2")
            out = self.binary("CoordinatesMove", "add", "vector2", out, Gf.Vec2f(*step.translation))
        return out

    def image(
        self,
        name: str,
        kind: str,
        file: str,
        coordinates: Sdf.Path,
        wrap: tuple[Wrap, Wrap],
        *,
        color_space: str = "lin_rec709",
    ) -> Sdf.Path:
        """``ND_image_<kind>``. ``lin_rec709``, the working space, leaves code values as they are."""
        key = (kind, file, coordinates, wrap, color_space)
        if key not in self._shared:
            inputs = {
                "file": ("filename", Sdf.AssetPath(file)),
                "default": (kind, _ZERO[kind]),
                "texcoord": ("vector2", coordinates),
                "uaddressmode": ("string", ADDRESS_MODES[wrap[0]]),
                "vaddressmode": ("string", ADDRESS_MODES[wrap[1]]),
            }
            out = self.node(name, f"ND_image_{kind}", inputs, kind)
            shader = self.layer.GetPrimAtPath(self.path.AppendChild(out.GetPrimPath().name))
            shader.attributes["inputs:file"].SetInfo("colorSpace", color_space)
            self._shared[key] = out
        return self._shared[key]
