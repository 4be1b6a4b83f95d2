"""One new Material per object: the source's by reference, with a variant per style."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pxr import Gf, Sdf, Usd, UsdShade

from usdstylize.author.contexts import ALL, settle_contexts
from usdstylize.author.graph import Graph
from usdstylize.author.live import write_base_color
from usdstylize.author.mdl import read_omnipbr, write_mdl
from usdstylize.author.mtlx import write_mtlx
from usdstylize.author.mtlx_inputs import read_mtlx_inputs
from usdstylize.author.paths import resolve_anchored
from usdstylize.author.preview import write_preview_inputs
from usdstylize.author.source import SourceInput, Texture, read_inputs
from usdstylize.author.specs import Node, add_input, add_output, add_shader, prim_spec
from usdstylize.author.surface import write_surface
from usdstylize.author.textures import Textures
from usdstylize.base_colors import TextureFile
from usdstylize.errors import MaterialError
from usdstylize.objects import StageObject
from usdstylize.options import Network

__all__ = [
    "ORIGINAL",
    "SCOPE",
    "VARIANT_SET",
    "check_material",
    "material_path",
    "write_material",
]

VARIANT_SET = "style"
ORIGINAL = "original"
SCOPE = "StylizedLooks"

_PLAIN = "StylizedPlain"
_Types = Sdf.ValueTypeNames


def material_path(source: StageObject) -> Sdf.Path:
    """Where the object's new Material lies: under its root prim, so that a reference carries it.

    A root prim that is an instance cannot hold it; the class that the instances inherit does.
    """
    root = Sdf.Path(source.path).GetPrefixes()[0]
    if str(root) in source.instances:
        root = Sdf.Path.absoluteRootPath.AppendChild(source.prototype)
    return root.AppendChild(SCOPE).AppendChild(source.name)


def check_material(stage: Usd.Stage, source: StageObject) -> None:
    """Refuse what cannot work. ``stage`` is the source's. Raises MaterialError."""
    target = material_path(source)
    for taken in filter(None, (target, source.prototype and Sdf.Path(f"/{source.prototype}"))):
        if stage.GetPrimAtPath(taken):
            raise MaterialError(
                f"{source.path} cannot get its material, because the stage itself has a prim at {taken}; "
                "rename that."
            )
    if source.material_path is None:
        return
    material = stage.GetPrimAtPath(source.material_path)
    if VARIANT_SET in material.GetVariantSets().GetNames():
        raise MaterialError(
            f"The material {source.material_path} of {source.path} has a variant set named `{VARIANT_SET}` "
            "already, which its stylised version needs; stylise the unstylised asset, or rename the set."
        )


def write_material(
    layer: Sdf.Layer,
    stage: Usd.Stage,
    source: StageObject,
    style_name: str,
    textures: Textures,
    *,
    network: Network,
    block_contexts: Sequence[str],
    time: Usd.TimeCode,
    folder: Path,
) -> list[str]:
    """Write or extend the object's Material in the style layer; returns remarks for the artist.

    stage: composed without the style layer's materials being needed, that is the source's.
    block_contexts: render contexts whose own surfaces are switched off, "all" for every one.
    folder: the style layer's, for paths of the other textures.
    """
    path = material_path(source)
    prim_spec(layer, path.GetParentPath(), "Scope", Sdf.SpecifierDef)
    spec = prim_spec(layer, path, "Material", Sdf.SpecifierDef)
    noted = spec.customData.get("usdstylize")
    spec.customData["usdstylize"] = {**(noted if isinstance(noted, dict) else {}), "object": source.path}
    if source.material_path is not None:
        spec.referenceList.prependedItems = [Sdf.Reference("", Sdf.Path(source.material_path))]
    spec.variantSetNameList.prependedItems = [VARIANT_SET]
    spec.variantSelections[VARIANT_SET] = style_name
    original = path.AppendVariantSelection(VARIANT_SET, ORIGINAL)
    if layer.GetPrimAtPath(original) is None:
        variant = prim_spec(layer, original)
        if source.surface_path is None:
            plain = _plain_surface(layer, original, _display_color(layer, original))
            add_output(variant, "surface", _Types.Token, plain.output("surface"))

    variant_path = path.AppendVariantSelection(VARIANT_SET, style_name)
    variant_set = spec.variantSets[VARIANT_SET]
    if style_name in variant_set.variants:
        variant_set.RemoveVariant(variant_set.variants[style_name])
    variant = prim_spec(layer, variant_path)
    material = UsdShade.Material.Get(stage, source.material_path) if source.material_path else None
    surface = UsdShade.Shader.Get(stage, source.surface_path) if source.surface_path else None
    inputs: Mapping[str, SourceInput] = {}
    remarks: list[str] = []
    weight = 1.0
    if surface and source.surface == "mdl":
        inputs, remarks = read_omnipbr(surface, source, time)
        surface = None  # ours stands beside it
    elif surface and material and source.surface == "mtlx":
        preview = _preview_surface(material)
        weight, inputs, remarks = read_mtlx_inputs(surface, time, preview=preview is None)
        surface = preview
    elif surface and material:
        inputs = _of_our_copy(read_inputs(surface, material, time), source, textures, folder)
    taken = {child.GetName() for child in material.GetPrim().GetAllChildren()} if material else set()

    if textures.baked is not None:
        remarks += _write_preview(layer, variant, source, surface, textures, inputs, folder, weight)
    if network in ("both", "mtlx"):
        dial = add_input(variant, "strength", _Types.Float, textures.strength)
        dial.documentation = "How much of the style shows in the live MaterialX network; the bake is fixed."
        dial.customData = {"range": {"min": 0.0, "max": 2.0}}
    if network in ("both", "mtlx") and source.surface == "mtlx":
        write_mtlx(layer, variant, source, stage, textures.style, time)
    elif network in ("both", "mtlx"):
        graph = Graph(layer, variant_path.AppendChild(_free("StylizedNetwork", taken)))
        inner = add_input(graph.spec, "strength", _Types.Float, path.AppendProperty("inputs:strength"))
        inside = inner.path.StripAllVariantSelections()
        color = write_base_color(
            graph, source, textures.base, textures.style, inside, encoded=textures.base_is_encoded
        )
        shader, lost = write_surface(
            graph, variant_path.AppendChild(_free("StylizedSurface", taken)), path, inputs, color, folder
        )
        remarks = [*remarks, *lost]
        add_output(variant, "mtlx:surface", _Types.Token, shader.output())
    if material:
        live, mdl = network != "preview", False
        if "mdl" not in block_contexts and ALL not in block_contexts:
            mdl, lost = write_mdl(
                layer, variant, material, source, textures.baked, textures.baked_is_linear, time
            )
            remarks = [*remarks, *lost]
        shown = {"mtlx": live, "mdl": mdl}
        ours = {context for context, shows in shown.items() if shows}
        remarks += settle_contexts(
            variant, material, block=block_contexts, ours=ours, always=shown.keys() - ours
        )
    return remarks


def _of_our_copy(
    inputs: Mapping[str, SourceInput], source: StageObject, textures: Textures, folder: Path
) -> Mapping[str, SourceInput]:
    """Inputs that read the alpha of the base's file read that of our copy: viewers misread the file."""
    if textures.base is None or not textures.base_is_encoded or not isinstance(source.base, TextureFile):
        return inputs
    theirs, ours = source.base.resolved_path, resolve_anchored(textures.base, folder)
    return {
        name: replace(value, file=ours)
        if isinstance(value, Texture) and (value.file, value.output) == (theirs, "a")
        else value
        for name, value in inputs.items()
    }


def _free(name: str, taken: set[str]) -> str:
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name}{number}"
    return unique


def _preview_surface(material: UsdShade.Material) -> UsdShade.Shader | None:
    """The UsdPreviewSurface that a material has besides its MaterialX surface."""
    surface, _, _ = material.ComputeSurfaceSource()
    return surface if surface and surface.GetShaderId() == "UsdPreviewSurface" else None


def _write_preview(
    layer: Sdf.Layer,
    variant: Sdf.PrimSpec,
    source: StageObject,
    surface: UsdShade.Shader | None,
    textures: Textures,
    inputs: Mapping[str, SourceInput],
    folder: Path,
    weight: float,
) -> list[str]:
    """Connect the preview surface's diffuse colour to the baked sum, beside that surface.

    Beside it, because a connection may not leave the container (NodeGraph) of a shader. Without
    a surface, ours takes ``inputs``. ``weight`` scales the bake. Returns remarks.
    """
    if surface is None:
        baked = _baked_texture(layer, variant.path, source, textures, set(), weight)
        plain = _plain_surface(layer, variant.path, baked)
        add_output(variant, "surface", _Types.Token, plain.output("surface"))
        return write_preview_inputs(layer, variant.path, plain, inputs, folder)
    own = Sdf.Path(source.material_path)
    if surface.GetPath().HasPrefix(own):
        target = _inside(variant.path, surface.GetPath().MakeRelativePath(own))
        siblings = {child.GetName() for child in surface.GetPrim().GetParent().GetAllChildren()}
        baked = _baked_texture(layer, target.GetParentPath(), source, textures, siblings, weight)
        over = prim_spec(layer, target)
        diffuse = surface.GetInput("diffuseColor")
        add_input(over, "diffuseColor", diffuse.GetTypeName() if diffuse else _Types.Color3f, baked)
        return []
    # The surface lies outside the material, where a variant of ours has no reach: copy it.
    baked = _baked_texture(layer, variant.path, source, textures, set(), weight)
    copy = _plain_surface(layer, variant.path, baked)
    for item in surface.GetInputs():
        if item.GetBaseName() == "diffuseColor":
            continue
        for connection in item.GetAttr().GetConnections()[:1]:
            add_input(copy.spec, item.GetBaseName(), item.GetTypeName(), connection)
        if item.Get() is not None:
            add_input(copy.spec, item.GetBaseName(), item.GetTypeName(), item.Get())
    add_output(variant, "surface", _Types.Token, copy.output("surface"))
    return []


def _inside(variant: Sdf.Path, relative: Sdf.Path) -> Sdf.Path:
    """``relative`` below a variant: Sdf.Path.AppendPath refuses to cross a variant selection."""
    for name in relative.GetPrefixes():
        variant = variant.AppendChild(name.name)
    return variant


def _baked_texture(
    layer: Sdf.Layer,
    parent: Sdf.Path,
    source: StageObject,
    textures: Textures,
    taken: set[str],
    weight: float,
) -> Sdf.Path:
    """A UsdUVTexture of the bake with texture coordinates like the source's; returns its rgb."""
    reader = add_shader(
        layer,
        parent.AppendChild(_free("StylizedCoordinates", taken)),
        "UsdPrimvarReader_float2",
        ("result", _Types.Float2),
        {"varname": (_Types.String, source.uv_primvar)},
    )
    coordinates = reader.output("result")
    for step in source.uv_transform.chain() if source.uv_transform else ():
        transform = {
            "in": (_Types.Float2, coordinates),
            "scale": (_Types.Float2, step.scale),
            "rotation": (_Types.Float, step.rotation),
            "translation": (_Types.Float2, step.translation),
        }
        place = _free("StylizedTransform", taken)
        taken = {*taken, place}
        coordinates = add_shader(
            layer, parent.AppendChild(place), "UsdTransform2d", ("result", _Types.Float2), transform
        ).output("result")
    wrap_s, wrap_t = source.wrap
    texture: dict[str, tuple[Any, Any]] = {
        "file": (_Types.Asset, Sdf.AssetPath(textures.baked)),
        "sourceColorSpace": (_Types.Token, "raw" if textures.baked_is_linear else "sRGB"),
        "st": (_Types.Float2, coordinates),
        "wrapS": (_Types.Token, wrap_s),
        "wrapT": (_Types.Token, wrap_t),
    }
    if weight != 1.0:
        texture["scale"] = (_Types.Float4, Gf.Vec4f(weight, weight, weight, 1.0))
    place = parent.AppendChild(_free("StylizedBake", taken))
    return add_shader(layer, place, "UsdUVTexture", ("rgb", _Types.Float3), texture).output("rgb")


def _display_color(layer: Sdf.Layer, parent: Sdf.Path) -> Sdf.Path:
    reader = add_shader(
        layer,
        parent.AppendChild("StylizedDisplayColor"),
        "UsdPrimvarReader_float3",
        ("result", _Types.Float3),
        {"varname": (_Types.String, "displayColor")},
    )
    return reader.output("result")


def _plain_surface(layer: Sdf.Layer, parent: Sdf.Path, diffuse: Sdf.Path) -> Node:
    """A UsdPreviewSurface with everything but the diffuse colour at its default."""
    return add_shader(
        layer,
        parent.AppendChild(_PLAIN),
        "UsdPreviewSurface",
        ("surface", _Types.Token),
        {"diffuseColor": (_Types.Color3f, diffuse)},
    )
