"""Switching between styles: variant selections in the style layer."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from pxr import Sdf

from usdstylize import interrupts
from usdstylize.errors import OutputError, StageError
from usdstylize.usd.write.disk import alone
from usdstylize.usd.write.instancing import classes_by_instance, within
from usdstylize.usd.write.layers import save
from usdstylize.usd.write.layout import ResultLayout
from usdstylize.usd.write.material import ORIGINAL, VARIANT_SET
from usdstylize.usd.write.provenance import read_layer, read_provenance
from usdstylize.usd.write.sharing import materials, owner, users

__all__ = ["find_style_layer", "masked_materials", "select", "stylized_materials"]


def select(root_layer: str | Path, style: str, mask: Sequence[str] = ()) -> int:
    """Show ``style`` (or "original") on every object, or on those at or under ``mask``.

    What instances share, and objects that share a look (`--share-materials`, `--by model`),
    change together, whichever of them the mask names.

    Changes only the selections in the style layer; objects that do not hold the style keep
    what they show. Returns the number of objects that show it now because of this call.
    Raises OutputError where ``root_layer`` is no result or the layer cannot be written,
    StageError where no object holds the style or a mask path names no object.
    """
    path = find_style_layer(Path(root_layer))
    with interrupts.cooperative(), alone(ResultLayout.of_style_layer(path).textures):
        return _select(Path(root_layer), path, style, mask)


def _select(root_layer: Path, path: Path, style: str, mask: Sequence[str]) -> int:
    layer = read_layer(path)
    if layer is None:
        raise OutputError(f"{path}, the style layer of {root_layer}, is missing; run again with --force.")
    ours = stylized_materials(layer)
    styles = sorted({v.name for _, spec in ours for v in spec.variantSets[VARIANT_SET].variants})
    if style != ORIGINAL and style not in styles:
        raise StageError(f"{root_layer} holds no style {style}; choose from {', '.join(styles)}.")
    masked = masked_materials(layer, root_layer, mask)
    chosen = [spec for _, spec in masked if style in spec.variantSets[VARIANT_SET].variants]
    if not chosen:
        raise StageError(
            f"No object at {', '.join(mask)} holds the style {style}; stylise them with it first."
        )
    for spec in chosen:
        spec.variantSelections[VARIANT_SET] = style
    interrupts.check()
    temporary = save(layer, path)
    try:
        os.replace(temporary, path)
    except OSError as problem:
        temporary.unlink(missing_ok=True)
        raise OutputError(
            f"{path} cannot be written ({problem.strerror}); change its permissions."
        ) from problem
    opened = Sdf.Layer.Find(str(path))
    if opened is not None:
        opened.Reload(force=True)
    return len(chosen)


def find_style_layer(root_layer: Path) -> Path:
    """The style layer of a result: its first sublayer with our provenance. Raises OutputError."""
    if not os.path.isfile(root_layer):
        raise OutputError(f"{root_layer} is not a file that can be read; give the .stylized.usda of a run.")
    layer = read_layer(root_layer)
    if layer is not None and read_provenance(layer, root_layer.parent) is not None:
        if root_layer.suffix == ".usdz":
            raise OutputError(
                f"{root_layer} is a package, which is never edited; give the .stylized.usda that it was "
                f"packed from, or select the variant `{VARIANT_SET}` of its materials in what opens it."
            )
        for relative in layer.subLayerPaths:
            path = Path(os.path.abspath(root_layer.parent / relative))
            found = read_layer(path)
            if found is not None and read_provenance(found, path.parent) is not None:
                return path
        raise OutputError(f"{root_layer} has lost its style layer; run again with --force.")
    raise OutputError(
        f"{root_layer} is not a result of usdstylize; give the .stylized.usda that a run has written."
    )


def masked_materials(
    layer: Sdf.Layer, root_layer: Path, mask: Sequence[str]
) -> list[tuple[str, Sdf.PrimSpec]]:
    """As `stylized_materials`, of those that an object at or under ``mask`` wears; all without a mask.

    Raises StageError where a path of the mask names no object.
    """
    ours = stylized_materials(layer)
    places = classes_by_instance(layer)
    masks = []
    for path_in_mask in mask:
        valid = Sdf.Path.IsValidPathString(path_in_mask) and Sdf.Path(path_in_mask).IsAbsolutePath()
        masks.append(within(places, Sdf.Path(path_in_mask)) if valid else lambda _path: False)
        if not any(_has_user(spec, masks[-1]) for _, spec in ours):
            owners = ", ".join(sorted(path for _, spec in ours for path in users(spec)))
            raise StageError(
                f"--mask names {path_in_mask}, where {root_layer} holds no object; it holds {owners}."
            )
    return [
        (path, spec)
        for path, spec in ours
        if not mask or any(_has_user(spec, contains) for contains in masks)
    ]


def _has_user(material: Sdf.PrimSpec, contains: Callable[[Sdf.Path], bool]) -> bool:
    return any(contains(Sdf.Path(path)) for path in users(material))


def stylized_materials(layer: Sdf.Layer) -> list[tuple[str, Sdf.PrimSpec]]:
    """(object's prim path, spec of its Material) for every object in a style layer."""
    return [
        (owner(spec), spec) for spec in materials(layer) if owner(spec) and VARIANT_SET in spec.variantSets
    ]
