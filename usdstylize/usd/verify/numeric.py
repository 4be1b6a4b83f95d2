"""Numeric checks: live network and bake, as viewers compute them, against clamp(T + Σ strength · T_S)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, UsdShade

from usdstylize import interrupts
from usdstylize.errors import MaterialError
from usdstylize.imaging.encoding import linear_to_srgb, srgb_to_linear
from usdstylize.model.checks import Check
from usdstylize.model.objects import StageContents, StageObject
from usdstylize.usd import read as reading
from usdstylize.usd.io import images
from usdstylize.usd.shading.inputs import numbers
from usdstylize.usd.shading.source_inputs import Stylized
from usdstylize.usd.shading.surface_inputs import SurfaceInputs, read_surface_inputs
from usdstylize.usd.shading.undefined import undefined_inputs
from usdstylize.usd.verify.bake import misplaced
from usdstylize.usd.verify.guards import errors_as_check, is_on_stage
from usdstylize.usd.verify.network import live_color
from usdstylize.usd.verify.reread import Source, object_at
from usdstylize.usd.verify.shared import without_class
from usdstylize.usd.write import (
    BAKE,
    DIFFUSE_SHARE,
    MIX,
    VARIANT_SET,
    Facts,
    Part,
    Provenance,
    ResultLayout,
    bake_wrap,
    combine,
)

__all__ = ["BAKE_TOLERANCE", "LIVE_TOLERANCE", "check_colors"]

LIVE_TOLERANCE = 0.002
"""Largest difference of the live network from clamp(T + strength · T_S), linear."""
BAKE_TOLERANCE = 0.008
"""The same for the bake, which is rounded to 8 bits."""

_CONTEXTS = ("mtlx", "")
_CHECKS_OF = {"both": ("live", "bake"), "preview": ("bake",), "mtlx": ("live",)}
"""By the networks that were written: the checks that compare them."""


def check_colors(
    stage: Usd.Stage,
    materials: list[tuple[str, Sdf.PrimSpec]],
    provenance: Provenance,
    style_path: Path,
    heroes: Sequence[str],
    *,
    packed: bool = False,
) -> list[Check]:
    """Checks, for each object and style, that viewers compute what was optimised.

    packed: the result was a package, which holds no T_S that no network reads.
    """
    checks: list[Check] = []
    owners = tuple(owner for owner, _ in materials if is_on_stage(stage, owner))
    layout = ResultLayout.of_style_layer(style_path)
    facts, source = Facts(layout), Source(provenance.source, owners, heroes)
    for owner, spec in materials:
        interrupts.check()
        for style, record in provenance.styles.items():
            if spec.name not in record.objects:
                continue
            subject = f"{owner} ({style})"
            with errors_as_check(checks, "live", subject), np.errstate(all="ignore"):
                own = facts.of(style, spec.name)
                contents = source.contents(own, layout.style(style))
                obj = object_at(contents, owner)
                for place in without_class(stage, contents, obj):
                    detail = f"It does not share the style of {owner} in {style}; run again with --force."
                    checks.append(Check("instances", place, False, detail))
                if packed and own.get("network") == "preview":
                    detail = "not compared: without a live network the package has no style texture"
                    checks.append(Check("bake", subject, True, detail))
                    continue
                parts = facts.parts(style, obj.name)
                checks += _compare(stage, contents, obj, spec.path, style, parts, subject)
                checks += _lost(checks, subject, own)
                for name in facts.stale(style, obj.name):
                    detail = f"The style {name} was made anew since; run `usdstylize mix` again."
                    checks.append(Check(MIX, subject, False, detail))
    return checks


def _lost(checks: Sequence[Check], subject: str, facts: Mapping[str, Any]) -> list[Check]:
    """A failed check for each network that the object was given, and that nothing was compared with."""
    compared = {check.name for check in checks if check.subject == subject}
    return [
        Check(name, subject, False, "Its material has lost this network; run again with --force.")
        for name in _CHECKS_OF.get(facts.get("network", ""), ())
        if name not in compared
    ]


def _compare(
    stage: Usd.Stage,
    contents: StageContents,
    obj: StageObject,
    material: Sdf.Path,
    style: str,
    parts: Sequence[Part],
    subject: str,
) -> Iterator[Check]:
    """style: the variant's name. parts: what it adds to T."""
    references = []
    tiles = [[images.read_image(str(part.file(str(tile)))) for part in parts] for tile in obj.tiles or ("",)]
    data = reading.load(contents, obj, at_least=max(max(image.shape[:2]) for image in tiles[0]))
    for base, offsets in zip(data.bases, tiles, strict=True):
        styles = [(offset, part.strength) for offset, part in zip(offsets, parts, strict=True)]
        references.append(srgb_to_linear(combine(base, styles, bake_wrap(obj), data.transfer)))
    size = (references[0].shape[1], references[0].shape[0])

    def difference(viewed: Iterable[Any], use: Stylized) -> float:
        """Of what an input takes; in units of the sum where the input makes that brighter."""
        pairs = zip(viewed, references, strict=True)
        error = max(float(np.abs(image - _used(reference, use)).max()) for image, reference in pairs)
        return error / max(1.0, *map(abs, use.scale))

    session = stage.GetSessionLayer()
    try:
        with Usd.EditContext(stage, session):
            stage.GetPrimAtPath(material).GetVariantSet(VARIANT_SET).SetVariantSelection(style)
            selected = UsdShade.Material.Get(stage, material)
            for part in parts:
                dial = selected.GetInput(part.dial)
                if dial:
                    # An artist may have turned the dial since: the bake cannot follow, the check must.
                    dial.Set(part.strength)
        time = Usd.TimeCode.EarliestTime() if contents.frame is None else Usd.TimeCode(contents.frame)
        theirs = UsdShade.Material.Get(stage, obj.material_path) if obj.material_path else None
        inputs = read_surface_inputs(theirs, obj, time)
        live = selected.GetSurfaceOutput("mtlx")
        for detail in _undefined(selected, obj, time):
            yield Check("live", subject, False, detail)
        if live and live.HasConnectedSource():
            prim = stage.GetPrimAtPath(obj.path)
            error = max(
                difference([live_color(selected, name, obj, prim, data.bases[0], size, time)], use)
                for name, use in _followed(inputs, selected).items()
            )
            yield Check("live", subject, error <= LIVE_TOLERANCE, f"differs by {error:.5f} at most")
        textures = {name: _baked_texture(selected, name) for name in inputs.preview_uses}
        if any(textures.values()):
            found: list[Check] = []
            with errors_as_check(found, "bake", subject):
                error = 0.0
                for name, texture in textures.items():
                    if texture is None:
                        detail = f"inputs:{name} does not show the bake any more; run again with --force."
                        found.append(Check("bake", subject, False, detail))
                        continue
                    use = inputs.preview_uses[name]
                    error = max(error, difference(_read_baked(texture, obj.tiles), use))
                    found += [Check("bake", subject, False, detail) for detail in misplaced(texture, obj)]
                found.append(
                    Check("bake", subject, error <= BAKE_TOLERANCE, f"differs by {error:.5f} at most")
                )
            yield from found
    finally:
        session.Clear()


def _undefined(material: UsdShade.Material, obj: StageObject, time: Usd.TimeCode) -> Iterator[str]:
    """A sentence for each constant that makes a surface NaN and that the source's own does not have."""
    stage = material.GetPrim().GetStage()
    source = UsdShade.Material.Get(stage, obj.material_path) if obj.material_path else None
    theirs = {
        name
        for context in _CONTEXTS
        if source and (surface := source.ComputeSurfaceSource(context)[0])
        for name in undefined_inputs(surface, time)
    }
    surfaces = {
        str(surface.GetPath()): surface
        for context in _CONTEXTS
        if (surface := material.ComputeSurfaceSource(context)[0])
    }
    for path, surface in surfaces.items():
        for name, value in undefined_inputs(surface, time).items():
            if name not in theirs:
                yield f"{path} is NaN by its inputs:{name} = {value}; run again with --force."


def _used(total: NDArray[np.float32], use: Stylized) -> NDArray[np.float32]:
    """What an input takes of the sum, (H, W, 3) linear."""
    taken: NDArray[np.float32] = linear_to_srgb(total) if use.raw else total
    return taken * np.array(use.scale, np.float32) + np.array(use.bias, np.float32)


def _followed(inputs: SurfaceInputs, material: UsdShade.Material) -> Mapping[str, Stylized]:
    """The inputs of the live surface that show the sum, but for those that our nodes share it out to."""
    if inputs.live_uses:
        return inputs.live_uses
    surface = material.ComputeSurfaceSource("mtlx")[0]
    diffuse = surface.GetInput("diffuseColor")
    givers = diffuse.GetValueProducingAttributes() if diffuse else []
    is_shared_out = any(giver.GetPrim().GetName() == DIFFUSE_SHARE for giver in givers)
    return {
        name: use
        for name, use in inputs.preview_uses.items()
        if not (is_shared_out and name == "specularColor")
    }


def _baked_texture(material: UsdShade.Material, name: str) -> UsdShade.Shader | None:
    surface = material.ComputeSurfaceSource()[0]
    item = surface.GetInput(name) if surface else None
    for attribute in item.GetValueProducingAttributes() if item else ():
        if attribute.GetPrim().GetName().startswith(BAKE):
            return UsdShade.Shader(attribute.GetPrim())
    return None


def _read_color(path: str) -> Any:
    codes = images.read_image(path)
    return np.repeat(codes[..., :1], 3, axis=-1) if codes.shape[-1] < 3 else codes[..., :3]


def _read_baked(texture: UsdShade.Shader, tiles: Sequence[int]) -> Iterator[Any]:
    """What a UsdUVTexture of the bake outputs, linear, for each of its tiles."""
    file, is_encoded = texture.GetInput("file").Get(), texture.GetInput("sourceColorSpace").Get() == "sRGB"
    now = Usd.TimeCode.EarliestTime()
    scale = np.array(numbers(texture, "scale", now, (1.0,) * 3), np.float32)
    bias = np.array(numbers(texture, "bias", now, (0.0,) * 3), np.float32)
    layer = texture.GetInput("file").GetAttr().GetPropertyStack()[0].layer
    found = UsdShade.UdimUtils.ResolveUdimTilePaths(file.path, layer) if tiles else []
    if [number for _, number in found] != [str(tile) for tile in tiles]:
        raise MaterialError(f"{file.path} has not the tiles of the source's texture; run again with --force.")
    for path in [path for path, _ in found] or [file.resolvedPath or file.path]:
        codes = _read_color(path)
        yield (srgb_to_linear(codes) if is_encoded else codes) * scale + bias
