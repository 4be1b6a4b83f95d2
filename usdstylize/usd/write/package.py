"""A result as one file: a .usdz that holds its layers, the source's and every texture."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pxr import Ar, Sdf, Tf, Usd, UsdUtils, UsdValidation

from usdstylize.errors import OutputError
from usdstylize.model.checks import Check
from usdstylize.usd.io.opening import first_sentence, quiet
from usdstylize.usd.io.udim import is_udim, resolve_tiles
from usdstylize.usd.write.disk import write_errors
from usdstylize.usd.write.layers import save, temporary_name
from usdstylize.usd.write.layout import ResultLayout
from usdstylize.usd.write.provenance import KEY, read_layer, read_provenance, read_run
from usdstylize.usd.write.tiles import add_lost_tiles

__all__ = ["check_package", "packed_facts", "write_package"]

_FACTS = "written"
"""Where the root layer of a package holds what each style's run.json says of its objects, as JSON."""


def write_package(root_layer: str | Path, package: str | Path) -> tuple[Check, ...]:
    """Pack a result and everything it refers to; variants, payloads and nested packages go along.

    Returns what USD's validators find wrong with the package and not with the result itself, and
    documents of MaterialX whose textures this build of USD could not follow.
    An earlier package is replaced only when the new one is whole. Raises OutputError where it
    cannot be written, or would lose a file that the result has.
    """
    root_layer, package = Path(root_layer), Path(package)
    temporary = temporary_name(package)
    with quiet(), write_errors(package):
        try:
            try:
                with _root_with_facts(root_layer) as root:
                    # False where the source has lost a texture already, which must not cost the package.
                    UsdUtils.CreateNewUsdzPackage(str(root), str(temporary), root_layer.name)
                opened = Usd.Stage.Open(str(temporary))
                result = Usd.Stage.Open(str(root_layer))
            except Tf.ErrorException as error:
                raise OutputError(
                    f"{package} cannot be written ({first_sentence(error)}); free some space or do without: "
                    f"{root_layer.name} is whole."
                ) from error
            lost = _lost_in(opened, result)
            if lost:
                del opened
                add_lost_tiles(temporary, result, [attribute for attribute, _ in lost])
                opened = Usd.Stage.Open(str(temporary))
                opened.Reload()
                lost = _lost_in(opened, result)
            if lost:
                raise OutputError(
                    f"{package} cannot hold @{lost[0][1]}@ of {lost[0][0]}, which USD does not pack; "
                    "put it beside the stage."
                )
            checks = (*_documents(result, package), *_validation(opened, result, package))
            del opened
            os.replace(temporary, package)
        finally:
            temporary.unlink(missing_ok=True)
    return checks


@contextmanager
def _root_with_facts(root_layer: Path) -> Iterator[Path]:
    """A copy of the root layer, beside it, that holds the facts of `packed_facts`: a package has no JSON."""
    layer = read_layer(root_layer)
    found = read_provenance(layer, root_layer.parent) if layer else None
    if layer is None or found is None:
        yield root_layer
        return
    layout, facts = ResultLayout.of(found.source, root_layer), {}
    for style in found.styles:
        with suppress(OutputError):  # `verify` says what is wrong with it
            facts[style] = json.dumps(read_run(layout.style(style)).get("written", {}), default=str)
    data = dict(layer.customLayerData)
    data[KEY] = {**data[KEY], _FACTS: facts}
    layer.customLayerData = data
    copy = save(layer, root_layer)
    try:
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def packed_facts(root: Sdf.Layer) -> dict[str, str]:
    """By style, the JSON of all objects' facts in the root layer of a package; empty where it has none."""
    data = root.customLayerData.get(KEY)
    found = data.get(_FACTS) if isinstance(data, dict) else None
    return {str(style): str(text) for style, text in found.items()} if isinstance(found, dict) else {}


def check_package(package: Path, result: Usd.Stage) -> tuple[Check, ...]:
    """What a package lacks that its unpacked ``result`` has, and what USD's validators find in it alone."""
    opened = Usd.Stage.Open(str(package))
    lost = tuple(
        Check("package", owner, False, f"@{name}@ is not in the package; pack it again.")
        for owner, name in _lost_in(opened, result)
    )
    return (*lost, *_validation(opened, result, package))


def _lost_in(package: Usd.Stage, result: Usd.Stage) -> list[tuple[str, str]]:
    known = set(_lost(result))
    return [item for item in _lost(package) if item not in known]


def _lost(stage: Usd.Stage) -> list[tuple[str, str]]:
    """(attribute, file name) of each composed asset that is not where its root layer's package is.

    For a stage that is no package: of each that does not resolve.
    """
    root = stage.GetRootLayer().realPath
    packed = root.endswith(".usdz")
    lost = []
    for attribute, asset in _assets(stage):
        found = asset.resolvedPath
        if is_udim(asset.path):
            found, _ = resolve_tiles(attribute, asset.path, Usd.TimeCode.Default())
        place = Ar.SplitPackageRelativePathOuter(found)[0]
        if asset.path and (not place or (packed and place != root)):
            lost.append((str(attribute.GetPath()), Path(asset.path).name))
    return lost


def _documents(result: Usd.Stage, package: Path) -> tuple[Check, ...]:
    if Sdf.FileFormat.FindByExtension("mtlx") is not None:
        return ()
    named = {asset for layer in result.GetUsedLayers() for asset in layer.GetCompositionAssetDependencies()}
    detail = "@{}@ is inside, its textures are not: this build of USD has no usdMtlx to find them."
    return tuple(
        Check("package", str(package), False, detail.format(asset))
        for asset in sorted(named)
        if asset.endswith(".mtlx")
    )


def _assets(stage: Usd.Stage) -> list[tuple[Usd.Attribute, Sdf.AssetPath]]:
    found = []
    for prim in Usd.PrimRange.Stage(stage, Usd.TraverseInstanceProxies(Usd.PrimAllPrimsPredicate)):
        for attribute in prim.GetAuthoredAttributes():
            value = attribute.Get()
            if isinstance(value, Sdf.AssetPath):
                found.append((attribute, value))
            elif isinstance(value, Sdf.AssetPathArray):
                found += [(attribute, item) for item in value]
    return found


def _validation(packed: Usd.Stage, result: Usd.Stage, package: Path) -> tuple[Check, ...]:
    known = {(name, sites) for name, sites, _ in _findings(result)}
    new = [f"{name}: {message}" for name, sites, message in _findings(packed) if (name, sites) not in known]
    return tuple(Check("package", str(package), False, finding) for finding in new)


def _findings(stage: Usd.Stage) -> list[tuple[str, str, str]]:
    """The findings of USD's validators: name, prims and properties, message."""
    context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
    found = []
    for error in context.Validate(stage):
        sites = [site.GetProperty() or site.GetPrim() for site in error.GetSites()]
        paths = ", ".join(str(site.GetPath()) for site in sites if site)
        found.append((error.GetName(), paths, error.GetMessage()))
    return found
