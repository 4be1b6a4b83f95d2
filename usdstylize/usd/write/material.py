"""One new Material per object: the source's by reference, with a variant per style."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pxr import Sdf, Usd, UsdShade, Vt

from usdstylize.config.options import DIAL_RANGE, Network
from usdstylize.errors import MaterialError
from usdstylize.model.base_colors import TextureFile
from usdstylize.model.objects import StageObject
from usdstylize.usd.io.paths import resolve_anchored
from usdstylize.usd.shading.inputs import animation_remarks
from usdstylize.usd.shading.primvar_colors import display_inputs
from usdstylize.usd.shading.source_inputs import Constant, Texture
from usdstylize.usd.shading.surface_inputs import SurfaceInputs, read_surface_inputs
from usdstylize.usd.write.contexts import ALL, settle_contexts
from usdstylize.usd.write.graph import Graph
from usdstylize.usd.write.live import write_base_color, write_use
from usdstylize.usd.write.master import DIAL, MASTER, inherit_master, inherit_record
from usdstylize.usd.write.mdl import write_mdl
from usdstylize.usd.write.mtlx import write_mtlx
from usdstylize.usd.write.preview import write_preview
from usdstylize.usd.write.specs import add_input, add_output, free_name, prim_spec
from usdstylize.usd.write.surface import write_surface
from usdstylize.usd.write.textures import Textures
from usdstylize.usd.write.uvs import rename_uvs
from usdstylize.usd.write.versions import write_version

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
_USUAL = (0.0, 1.0)
"""From the source to the whole T_S: the soft limits of a dial."""
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
    for taken in filter(None, (target, source.prototype and Sdf.Path(f"/{source.prototype}"), MASTER)):
        prim = stage.GetPrimAtPath(taken)
        # The class may be there: a shot that shows other results has an opinion on it.
        if prim and not (taken == MASTER and prim.IsAbstract()):
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
    select: bool = True,
) -> list[str]:
    """Write or extend the object's Material in the style layer; returns remarks for the artist.

    stage: composed without the style layer's materials being needed, that is the source's.
    block_contexts: render contexts whose own surfaces are switched off, "all" for every one.
    folder: the style layer's, for paths of the other textures. select: whether the material shows the style.
    """
    path = material_path(source)
    material = UsdShade.Material.Get(stage, source.material_path) if source.material_path else None
    inputs = _alpha_of_copy(read_surface_inputs(material, source, time), source, textures, folder)
    if source.surface_path is None:
        inputs = replace(inputs, inputs=display_inputs(stage.GetPrimAtPath(source.path), time))
    variant = _variant(layer, path, source, style_name, select=select)
    inherit_record(variant, style_name)
    remarks = [*inputs.remarks, *_follow_master(layer, path, material)]
    if network != "preview":
        remarks += _animated(inputs)
    if textures.baked is not None:
        remarks += write_preview(layer, variant, source, inputs, textures, folder)
    if network != "preview":
        for offset in textures.offsets:
            dial = add_input(variant, offset.dial, _Types.Float, offset.strength)
            which = f"style {offset.mixed}" if offset.mixed else "style"
            dial.documentation = (
                f"How much of the {which} shows in the live MaterialX network; the bake is fixed."
            )
            dial.customData = {"range": dict(zip(("min", "max"), DIAL_RANGE, strict=True))}
            dial.SetInfo("limits", {"soft": _limits(_USUAL), "hard": _limits(DIAL_RANGE)})
        if inputs.spec is not None and inputs.spec.live == "source":
            write_mtlx(layer, variant, source, inputs.spec, inputs.live_uses, stage, textures.offsets, time)
        else:
            remarks += _write_live(layer, variant, path, source, material, inputs, textures, folder)
        write_version(variant, material)
    if material:
        if source.uv_asked:
            rename_uvs(layer, variant, material, source, time)
        remarks += _settle_others(layer, variant, material, source, textures, network, block_contexts, time)
    return remarks


def _variant(
    layer: Sdf.Layer,
    path: Sdf.Path,
    source: StageObject,
    style_name: str,
    *,
    select: bool,
) -> Sdf.PrimSpec:
    """The style's own variant, empty, in the object's Material, which then shows it where it is to."""
    prim_spec(layer, path.GetParentPath(), "Scope", Sdf.SpecifierDef)
    spec = prim_spec(layer, path, "Material", Sdf.SpecifierDef)
    noted = spec.customData.get("usdstylize")
    spec.customData["usdstylize"] = {**(noted if isinstance(noted, dict) else {}), "object": source.path}
    if source.material_path is not None:
        spec.referenceList.prependedItems = [Sdf.Reference("", Sdf.Path(source.material_path))]
    spec.variantSetNameList.prependedItems = [VARIANT_SET]
    if select:
        spec.variantSelections[VARIANT_SET] = style_name
    original = path.AppendVariantSelection(VARIANT_SET, ORIGINAL)
    if layer.GetPrimAtPath(original) is None:
        # Without a surface in the source it has none: viewers then show displayColor and displayOpacity.
        prim_spec(layer, original)
    variant_set = spec.variantSets[VARIANT_SET]
    if style_name in variant_set.variants:
        variant_set.RemoveVariant(variant_set.variants[style_name])
    return prim_spec(layer, path.AppendVariantSelection(VARIANT_SET, style_name))


def _follow_master(layer: Sdf.Layer, path: Sdf.Path, material: UsdShade.Material | None) -> list[str]:
    """Let our Material follow the master dial, but for one whose source reads an input of that name."""
    if material and material.GetInput(DIAL):
        return [
            f"Material {material.GetPath()} has an input {DIAL} of its own, which the style's dial replaces: "
            f"{MASTER} does not reach it."
        ]
    inherit_master(layer.GetPrimAtPath(path))
    return []


def _limits(ends: tuple[float, float]) -> dict[str, Any]:
    return {name: Vt.Float(end) for name, end in zip(("minimum", "maximum"), ends, strict=True)}


def _alpha_of_copy(
    read: SurfaceInputs, source: StageObject, textures: Textures, folder: Path
) -> SurfaceInputs:
    """Let inputs that read the alpha of T's file read that of our copy, as viewers misread the file."""
    is_base = read.preview is not None and textures.base is not None and textures.base_is_copy
    if not is_base or textures.base is None or not isinstance(source.base, TextureFile):
        return read
    theirs, ours = source.base.resolved_path, resolve_anchored(textures.base, folder)
    inputs = {
        name: replace(value, file=ours)
        if isinstance(value, Texture) and (value.file, value.output) == (theirs, "a")
        else value
        for name, value in read.inputs.items()
    }
    return replace(read, inputs=inputs)


def _animated(read: SurfaceInputs) -> list[str]:
    """Remarks on values that the live network takes over from a UsdPreviewSurface and that change over time.

    The base colour's is a remark of reading.
    """
    if read.preview is None:
        return []
    values = [name for name, value in read.inputs.items() if isinstance(value, Constant)]
    others = [name for name in values if name != "diffuseColor"]
    return [remark for name in others for remark in animation_remarks(read.preview, name)]


def _write_live(
    layer: Sdf.Layer,
    variant: Sdf.PrimSpec,
    path: Sdf.Path,
    source: StageObject,
    material: UsdShade.Material | None,
    inputs: SurfaceInputs,
    textures: Textures,
    folder: Path,
) -> list[str]:
    """A network and a surface of our own, of a source that is no MaterialX; returns remarks."""
    taken = {child.GetName() for child in material.GetPrim().GetAllChildren()} if material else set()
    graph = Graph(layer, variant.path.AppendChild(free_name("StylizedNetwork", taken)))
    styles = []
    for offset in textures.offsets:
        outside = path.AppendProperty(f"inputs:{offset.dial}")
        inside = add_input(graph.spec, offset.dial, _Types.Float, outside).path
        styles.append((offset, inside.StripAllVariantSelections()))
    total = write_base_color(graph, source, textures.base, textures.transfer, styles)
    colors = {name: write_use(graph, name, total, use) for name, use in inputs.preview_uses.items()}
    place = variant.path.AppendChild(free_name("StylizedSurface", taken))
    shader, remarks = write_surface(graph, place, path, inputs.inputs, colors, folder)
    add_output(variant, "mtlx:surface", _Types.Token, shader.output())
    return remarks


def _settle_others(
    layer: Sdf.Layer,
    variant: Sdf.PrimSpec,
    material: UsdShade.Material,
    source: StageObject,
    textures: Textures,
    network: Network,
    block_contexts: Sequence[str],
    time: Usd.TimeCode,
) -> list[str]:
    """The surfaces of the source that are neither preview nor live network; returns remarks."""
    remarks: list[str] = []
    mdl = False
    if "mdl" not in block_contexts and ALL not in block_contexts:
        mdl, remarks = write_mdl(
            layer, variant, material, source, textures.baked, textures.baked_is_linear, time
        )
    stylised = {"mtlx": network != "preview", "mdl": mdl}
    ours = {context for context, is_ours in stylised.items() if is_ours}
    return remarks + settle_contexts(
        variant, material, block=block_contexts, ours=ours, always=stylised.keys() - ours
    )
