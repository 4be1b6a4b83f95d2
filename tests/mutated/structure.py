"""Faults in composition, namespace and metadata."""

from pxr import Sdf, Vt

from mutated.case import Case, register

__all__: list[str] = []

_LONG = "n" * 3000


def _prim(case: Case, *types: str) -> Sdf.PrimSpec | None:
    return case.spec(
        lambda s: isinstance(s, Sdf.PrimSpec) and s.path.IsPrimPath() and (not types or s.typeName in types)
    )


@register
def strange_sublayers(case: Case) -> None:
    name = case.choose(case.names)
    layer = case.layer(name)
    own = f"./{name.rpartition('/')[2]}"
    other = case.choose(("./gone.usda", own, "./base.png", "./..", ".", "./looks.usda", own, f"{_LONG}.usda"))
    layer.subLayerPaths = [*layer.subLayerPaths, other] if case.rng.random() < 0.7 else [other]
    if len(layer.subLayerPaths) and case.rng.random() < 0.3:
        scale = case.choose((0.0, -1.0, float("nan"), float("inf"), 1e30))
        layer.subLayerOffsets[0] = Sdf.LayerOffset(0, scale)
    case.touch_path(name, Sdf.Path.absoluteRootPath, f"has the sublayer {other[:40]!r}")


@register
def strange_arc(case: Case) -> None:
    prim = _prim(case)
    if prim is None:
        return
    own = prim.path.StripAllVariantSelections()
    somewhere = _prim(case)
    assert somewhere is not None
    path = case.choose(
        (own, own.GetParentPath(), somewhere.path.StripAllVariantSelections(), Sdf.Path("/Gone"))
    )
    path = path if path != Sdf.Path.absoluteRootPath else own
    file = case.choose(("", "", f"./{case.root}", "./gone.usda", "./base.png", "./looks.usda", "./x.mtlx"))
    whole = case.rng.random() < 0.3
    match case.choose(("reference", "payload", "inherit", "specialize", "internal")):
        case "reference":
            prim.referenceList.prependedItems = [
                Sdf.Reference(file, Sdf.Path.emptyPath if whole and file else path)
            ]
        case "payload":
            prim.payloadList.prependedItems = [
                Sdf.Payload(file, Sdf.Path.emptyPath if whole and file else path)
            ]
        case "inherit":
            prim.inheritPathList.prependedItems = [path]
        case "specialize":
            prim.specializesList.prependedItems = [path]
        case "internal":
            prim.referenceList.prependedItems = [
                Sdf.Reference("", path),
                Sdf.Reference("", Sdf.Path("/Gone")),
            ]
    if case.rng.random() < 0.3:
        prim.instanceable = True
    case.touch(prim, f"has an arc to {file}<{path}>")


@register
def instanced(case: Case) -> None:
    prim = _prim(case)
    if prim is not None:
        prim.instanceable = case.rng.random() < 0.8
        case.touch(prim, f"has instanceable = {prim.instanceable}")


@register
def wrong_prim_type(case: Case) -> None:
    prim = _prim(
        case, "Xform", "Mesh", "Material", "Shader", "NodeGraph", "GeomSubset", "Scope", "PointInstancer"
    )
    if prim is not None:
        old = prim.typeName
        prim.typeName = case.choose(
            ("Banana", "Xform", "Mesh", "Material", "Shader", "NodeGraph", "GeomSubset", "PointInstancer")
        )
        case.touch(prim, f"is a {prim.typeName!r} instead of a {old}")


@register
def wrong_specifier(case: Case) -> None:
    prim = _prim(case)
    if prim is not None:
        prim.specifier = case.choose((Sdf.SpecifierOver, Sdf.SpecifierClass))
        case.touch(prim, f"is {prim.specifier}")


@register
def removed_prim(case: Case) -> None:
    prim = _prim(case)
    if prim is not None and not prim.path.ContainsPrimVariantSelection():
        case.touch(prim, "is removed")
        parent = prim.nameParent or prim.layer.pseudoRoot
        del parent.nameChildren[prim.name]


@register
def strange_name(case: Case) -> None:
    prim = _prim(case)
    if prim is None:
        return
    case.touch(prim, "is renamed")
    if not prim.path.ContainsPrimVariantSelection():
        prim.name = case.choose(("花瓶", _LONG, "__", "StylizedLooks", "Ünïcödé", "_1", "a__b"))
        case.touch(prim, "is the new name")


@register
def deep_nesting(case: Case) -> None:
    prim = _prim(case, "Xform", "Scope")
    if prim is None:
        return
    here, depth = prim, case.choose((30, 250))
    for number in range(depth):
        here = Sdf.PrimSpec(here, f"Deep{number}", Sdf.SpecifierDef, "Xform")
    mesh = case.spec(lambda s: isinstance(s, Sdf.PrimSpec) and s.typeName == "Mesh" and s.layer == prim.layer)
    if mesh is not None and not mesh.path.ContainsPrimVariantSelection():
        Sdf.CopySpec(mesh.layer, mesh.path, prim.layer, here.path.AppendChild("Copy"))
    case.touch(prim, f"holds a tower of {depth}")


@register
def many_variants(case: Case) -> None:
    prim = _prim(case)
    if prim is None or prim.path.ContainsPrimVariantSelection():
        return
    names = case.choose((("style",), ("look",), tuple(f"set{i}" for i in range(12))))
    for name in names:
        variant_set = Sdf.VariantSetSpec(prim, name)
        for number in range(40 // len(names)):
            Sdf.VariantSpec(variant_set, f"v{number}")
        prim.variantSetNameList.prependedItems = [*prim.variantSetNameList.prependedItems, name]
        prim.variantSelections[name] = case.choose(("v1", "gone", ""))
    case.touch(prim, f"has variant sets {names[0]}…")


@register
def lost_selection(case: Case) -> None:
    prim = case.spec(lambda s: isinstance(s, Sdf.PrimSpec) and bool(s.variantSelections))
    if prim is not None:
        for name in list(prim.variantSelections.keys()):
            prim.variantSelections[name] = case.choose(("gone", "", "low"))
        case.touch(prim, "selects a variant that is not there")


@register
def strange_layer_metadata(case: Case) -> None:
    name = case.choose((case.root, case.choose(case.names)))
    key, value = case.choose(
        (
            ("upAxis", "Q"),
            ("upAxis", "X"),
            ("metersPerUnit", 0.0),
            ("metersPerUnit", -1.0),
            ("metersPerUnit", float("nan")),
            ("metersPerUnit", 1e300),
            ("metersPerUnit", 1e-300),
            ("timeCodesPerSecond", 0.0),
            ("framesPerSecond", float("nan")),
            ("startTimeCode", float("nan")),
            ("startTimeCode", 1e300),
            ("endTimeCode", float("-inf")),
            ("defaultPrim", "Gone"),
            ("defaultPrim", ""),
            ("customLayerData", {"usdstylize": {"source": 7}}),
            ("customLayerData", {"usdstylize": "text"}),
            ("layerRelocates", [(Sdf.Path("/World"), Sdf.Path("/World/In"))]),
            ("layerRelocates", [(Sdf.Path("/World/Looks"), Sdf.Path("/World/Moved"))]),
        )
    )
    layer = case.layer(name)
    if key == "layerRelocates":
        layer.relocates = value
    else:
        layer.pseudoRoot.SetInfo(key, value)
    case.touch_path(name, Sdf.Path.absoluteRootPath, f"has {key} = {value}")


@register
def strange_prim_metadata(case: Case) -> None:
    prim = _prim(case)
    if prim is None:
        return
    match case.choose(("kind", "active", "schemas", "clips", "purpose", "visibility", "hidden", "order")):
        case "kind":
            prim.SetInfo("kind", case.choose(("banana", "subcomponent", "component", "")))
        case "active":
            prim.active = False
        case "schemas":
            schemas = case.choose(
                (["Banana"], ["CollectionAPI"], ["SkelBindingAPI"], ["CollectionAPI:a:b"], [""])
            )
            prim.SetInfo("apiSchemas", Sdf.TokenListOp.CreateExplicit(schemas))
        case "clips":
            prim.SetInfo(
                "clips",
                {
                    "default": {
                        "assetPaths": Sdf.AssetPathArray([Sdf.AssetPath("./gone.usda")]),
                        "primPath": "not a path",
                        "active": Vt.Vec2dArray([(0.0, 7.0)]),
                        "times": Vt.Vec2dArray([(0.0, float("nan"))]),
                    }
                },
            )
        case "order":
            prim.nameChildrenOrder = ["Gone", "Gone2"]
        case "hidden":
            prim.SetInfo("hidden", True)
        case name:
            if name not in prim.properties:
                spec = Sdf.AttributeSpec(prim, name, Sdf.ValueTypeNames.Token)
                spec.default = case.choose(("banana", "", "guide", "proxy", "invisible", "render"))
    case.touch(prim, "has strange metadata")


@register
def relationship_to_anything(case: Case) -> None:
    spec = case.spec(lambda s: isinstance(s, Sdf.RelationshipSpec))
    other = case.spec(lambda s: isinstance(s, Sdf.PropertySpec | Sdf.PrimSpec))
    if spec is not None and other is not None:
        spec.targetPathList.explicitItems = [other.path.StripAllVariantSelections()]
        case.touch(spec, f"targets {other.path}")
