"""Checking a result from what lies on the disk, with nothing remembered from the run."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pxr import Ar, Sdf, Tf, Usd, UsdShade, UsdValidation

from usdstylize import interrupts
from usdstylize.errors import OutputError, StageError, UsdStylizeError, one_line
from usdstylize.model.checks import Check, VerifyReport
from usdstylize.usd.io import assets
from usdstylize.usd.io.opening import open_stage, quiet
from usdstylize.usd.verify.guards import errors_as_check, is_on_stage
from usdstylize.usd.verify.numeric import check_colors
from usdstylize.usd.verify.shared import SharedChecks
from usdstylize.usd.verify.unpacking import unpacked
from usdstylize.usd.write import (
    ORIGINAL,
    VARIANT_SET,
    Facts,
    Provenance,
    ResultLayout,
    bound_purposes,
    check_package,
    find_style_layer,
    heroes_of,
    read_layer,
    read_provenance,
    stylized_materials,
    users,
)

__all__ = ["verify"]

_WRONG_TYPE = "MismatchedPropertyType"


@interrupts.cooperative()
def verify(root_layer: str | Path) -> VerifyReport:
    """Check a result: sources, composition, validators, paths, bindings, variants, numbers.

    Sources must have the hashes that the provenance records; for each object and style the
    live network and the bake must equal clamp(T + strength · T_S), T read anew from the source.
    What is wrong with the source stage itself is no fault of the result.
    A package is checked by what it holds, wherever it lies. Raises OutputError where ``root_layer`` is no
    result.
    """
    root_layer = Path(root_layer).absolute()
    if root_layer.suffix != ".usdz":
        return _verify(root_layer)
    with unpacked(root_layer) as inside:
        checks = _verify(inside, packed=True).checks
        with quiet():
            found = check_package(root_layer, Usd.Stage.Open(str(inside)))
    folder = f"{inside.parent}{os.sep}"
    named = [
        replace(
            check,
            subject=check.subject.replace(str(inside), str(root_layer)).replace(folder, ""),
            detail=check.detail.replace(folder, ""),
        )
        for check in checks
    ]
    return VerifyReport(root_layer, (*named, *found))


def _verify(root_layer: Path, *, packed: bool = False) -> VerifyReport:
    """packed: it was in a package, whose source is its own copy."""
    style_path = find_style_layer(root_layer)
    style_layer = read_layer(style_path)
    provenance = read_provenance(style_layer, style_path.parent) if style_layer else None
    if style_layer is None or provenance is None:
        raise OutputError(f"{style_path} is no style layer of usdstylize; run again with --force.")
    with quiet():
        checks = list(_sources(provenance))
        try:
            stage, source = open_stage(root_layer), open_stage(provenance.source)
        except StageError as problem:
            checks.append(Check("composition", str(root_layer), False, str(problem)))
            return VerifyReport(root_layer, tuple(checks))
        checks += _composition(stage, source)
        checks += _validation(stage, source, style_path, style_layer)
        checks += _paths(stage, style_path)
        materials = stylized_materials(style_layer)
        checks += _lost(materials, provenance, style_path)
        shared = SharedChecks(stage, style_layer)
        for subject, ok, detail in shared.prototypes():
            checks.append(Check("instances", subject, ok, detail))
        for owner, spec in materials:
            interrupts.check()
            for path in users(spec):
                with errors_as_check(checks, "binding", path):
                    expected = shared.bindings(path, spec.path)
                    checks += [_binding(stage, source, place, material) for place, material in expected]
            with errors_as_check(checks, "variants", owner):
                checks.append(_variants(stage, owner, spec.path, provenance))
        checks += check_colors(
            stage, materials, provenance, style_path, heroes_of(style_layer), packed=packed
        )
    return VerifyReport(root_layer, tuple(checks))


def _sources(provenance: Provenance) -> Iterator[Check]:
    expected: dict[str, set[str]] = {}
    for record in provenance.styles.values():
        for found in record.sources:
            expected.setdefault(found.path, set()).add(found.sha256)
    for path, digests in sorted(expected.items()):
        try:
            ok = digests == {assets.hash_file(path)}
            detail = "unchanged" if ok else "It has changed since it was stylised; run again with --force."
        except UsdStylizeError as problem:
            ok, detail = False, str(problem)
        yield Check("source", path, ok, detail)


def _composition(stage: Usd.Stage, source: Usd.Stage) -> list[Check]:
    where = stage.GetRootLayer().identifier
    theirs = {stage.GetRootLayer(), stage.GetSessionLayer(), *source.GetUsedLayers()}
    ours = [layer.identifier for layer in stage.GetUsedLayers() if layer not in theirs]
    # A finding that our layers cause names one of them; all others are found in the source, too.
    errors = [str(error) for error in stage.GetCompositionErrors()]
    new = [one_line(error) for error in errors if any(f"@{name}@" in error for name in ours)]
    if not new:
        return [Check("composition", where, True, "no error")]
    return [Check("composition", where, False, error) for error in new]


def _validation(stage: Usd.Stage, source: Usd.Stage, style_path: Path, style_layer: Sdf.Layer) -> list[Check]:
    materials = {spec.path: spec for _, spec in stylized_materials(style_layer)}
    known = {_identity(error) for error in _found(source)}
    style, checks = Sdf.Layer.FindOrOpen(str(style_path)), []
    for error in _found(stage):
        # Which of several instances reports a composition error is chance; `_composition` knows whose it is.
        excused = error.GetName() == "CompositionError"
        excused |= _is_materialx_node(error) or _comes_from_source(error, style)
        inherited = _identity(error, materials)
        if not excused and _identity(error) not in known and inherited not in known:
            checks.append(Check("validation", _identity(error)[1], False, one_line(error.GetMessage())))
    return checks or [Check("validation", stage.GetRootLayer().identifier, True, "no error")]


def _found(stage: Usd.Stage) -> Iterator[Any]:
    """The findings of the validators, except of those that fail on the stage."""
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    try:
        yield from UsdValidation.ValidationContext(validators).Validate(stage)
    except Tf.ErrorException:  # where one validator fails, the findings of the others are lost
        for validator in validators:
            with suppress(Tf.ErrorException):
                yield from UsdValidation.ValidationContext([validator]).Validate(stage)


def _identity(
    error: Any, materials: Mapping[Sdf.Path, Sdf.PrimSpec] = MappingProxyType({})
) -> tuple[str, str]:
    """What is wrong, and where, to compare with findings in the source.

    A place in one of ``materials`` is given as that in the source's material, which it references.
    """
    paths = [site.GetPath() for site in _sites(error)]
    for number, path in enumerate(paths):
        for ours in path.GetPrefixes():
            references = materials[ours].referenceList.prependedItems if ours in materials else ()
            for reference in references:
                paths[number] = path.ReplacePrefix(ours, reference.primPath)
    return error.GetName(), ", ".join(map(str, paths))


def _sites(error: Any) -> list[Any]:
    """The properties and prims that a validator's finding is about."""
    sites = [site.GetProperty() or site.GetPrim() for site in error.GetSites()]
    return [site for site in sites if site]


def _is_materialx_node(error: Any) -> bool:
    """usd-core is built without usdMtlx, so no MaterialX node is in its registry."""
    if error.GetName() != "MissingShaderIdInRegistry":
        return False
    sites = _sites(error)
    prims = [site.GetPrim() if isinstance(site, Usd.Property) else site for site in sites]
    return bool(prims) and all(str(UsdShade.Shader(prim).GetShaderId()).startswith("ND_") for prim in prims)


def _comes_from_source(error: Any, style: Sdf.Layer) -> bool:
    """Whether the finding is about a property of the source's material, which ours references.

    That is one without an opinion of ours; if its type is wrong, also one that we connect.
    """

    def is_theirs(site: Any) -> bool:
        specs = site.GetPropertyStack() if isinstance(site, Usd.Property) else []
        theirs = [spec for spec in specs if spec.layer != style]
        if error.GetName() == _WRONG_TYPE:
            return any(spec.typeName == site.GetTypeName() for spec in theirs)
        return len(theirs) == len(specs) > 0

    sites = _sites(error)
    return bool(sites) and all(map(is_theirs, sites))


def _paths(stage: Usd.Stage, style_path: Path) -> Iterator[Check]:
    """Asset paths of the style layer, and both layers' places, as written."""
    root = stage.GetRootLayer()
    for relative in root.subLayerPaths:
        yield _path(root, root.identifier, relative)
    layer = Sdf.Layer.FindOrOpen(str(style_path))
    found: list[tuple[str, str]] = []

    def visit(path: Sdf.Path) -> None:
        spec = layer.GetAttributeAtPath(path) if path.IsPropertyPath() else None
        if spec is not None and isinstance(spec.default, Sdf.AssetPath):
            found.append((str(path), spec.default.path))

    layer.Traverse(Sdf.Path.absoluteRootPath, visit)
    for where, relative in found:
        yield _path(layer, where, relative)


def _path(layer: Sdf.Layer, where: str, relative: str) -> Check:
    if "://" not in relative and not relative.startswith(("./", "../")):
        return Check(
            "path", where, False, f"@{relative}@ is not relative to the layer; run again with --force."
        )
    absolute = Sdf.ComputeAssetPathRelativeToLayer(layer, relative)
    if not (UsdShade.UdimUtils.ResolveUdimPath(relative, layer) or Ar.GetResolver().Resolve(absolute)):
        return Check("path", where, False, f"@{relative}@ does not resolve; restore the file.")
    return Check("path", where, True, relative)


def _lost(
    materials: list[tuple[str, Sdf.PrimSpec]], provenance: Provenance, style_path: Path
) -> Iterator[Check]:
    """Stylised objects that no material names any more, so that no other check would notice them."""
    worn = {spec.name: users(spec) for _, spec in materials}
    written = Facts(ResultLayout.of_style_layer(style_path))
    for style, record in provenance.styles.items():
        for name in sorted(set(record.objects) - set(worn)):
            found: list[Check] = []
            with errors_as_check(found, "binding", name):
                facts = written.of(style, name)
                if facts["path"] not in worn.get(facts.get("look", name), ()):
                    detail = f"No material of the style {style} is its own any more; run again with --force."
                    found.append(Check("binding", facts["path"], False, detail))
            yield from found


def _binding(stage: Usd.Stage, source: Usd.Stage, owner: str, material: Sdf.Path) -> Check:
    if not is_on_stage(stage, owner):
        return Check("binding", owner, False, "It is not on the stage any more; run again.")
    prim = stage.GetPrimAtPath(owner)
    for purpose in bound_purposes(source.GetPrimAtPath(owner)):
        bound, relationship = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial(purpose)
        if bound.GetPath() != material:
            found = f"{bound.GetPath()}, bound by {relationship.GetPath()}" if bound else "nothing"
            return Check("binding", owner, False, f"For {purpose or 'all purposes'} it shows {found}.")
    return Check("binding", owner, True, str(material))


def _variants(stage: Usd.Stage, owner: str, material: Sdf.Path, provenance: Provenance) -> Check:
    variants = stage.GetPrimAtPath(material).GetVariantSet(VARIANT_SET)
    expected = {ORIGINAL} | {s for s, record in provenance.styles.items() if material.name in record.objects}
    missing = expected - set(variants.GetVariantNames())
    if missing:
        return Check(
            "variants", owner, False, f"It has lost {', '.join(sorted(missing))}; run again with --force."
        )
    selection = variants.GetVariantSelection()
    if selection not in variants.GetVariantNames():
        return Check(
            "variants", owner, False, f"Its selection `{selection}` is no variant; use `usdstylize select`."
        )
    return Check("variants", owner, True, f"shows {selection}")
