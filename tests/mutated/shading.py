"""Faults in connections, bindings, subsets and shader ids."""

from pxr import Sdf

from mutated.case import Case, owner_of, register

__all__: list[str] = []

_IDS = (
    "",
    "banana",
    "UsdPreviewSurface",
    "UsdUVTexture",
    "UsdPrimvarReader_float2",
    "UsdPrimvarReader_float3",
    "UsdTransform2d",
    "ND_image_color3",
    "ND_standard_surface_surfaceshader",
    "ND_constant_color3",
    "OmniPBR",
)
_PATHS = (
    "",
    ".",
    "./",
    "/",
    "/dev/null",
    "./no such file.png",
    "no_dot.png",
    "./a.usdz[b.png]",
    "./x.<UDIM>.png",
    "http://example.invalid/a.png",
    "a" * 300 + ".png",
    "./" + "d/" * 2000 + "a.png",
    "./Grüße 花瓶.png",
    "./two words.png",
    "[",
    "./a.usda[",
    "`${X}`",
    "./a.png:SDF_FORMAT_ARGS:x=y",
    "anon:0x1234",
)


def _connectable(spec: Sdf.Spec) -> bool:
    return isinstance(spec, Sdf.AttributeSpec) and bool(spec.connectionPathList.GetAddedOrExplicitItems())


def _anything(case: Case, near: Sdf.Spec) -> Sdf.Path:
    """A path to connect to or to bind: of the stage, or of nothing."""
    near_prim = near.path.GetPrimPath().StripAllVariantSelections()
    roll = int(case.rng.integers(8))
    if roll == 0:
        return near.path.StripAllVariantSelections()
    if roll == 1:
        return near_prim
    if roll == 2:
        return Sdf.Path("/World/Gone.outputs:rgb")
    if roll == 3:
        return Sdf.Path("/World/Gone")
    if roll == 4:
        return near_prim.GetParentPath() if near_prim.pathElementCount > 1 else near_prim
    if roll == 5:
        return near_prim.AppendProperty("outputs:nothing")
    kind = Sdf.PrimSpec if roll == 6 else Sdf.PropertySpec
    found = case.spec(lambda s: isinstance(s, kind))
    return found.path.StripAllVariantSelections() if found is not None else near_prim


@register
def astray_connection(case: Case) -> None:
    spec = case.spec(_connectable)
    if spec is not None:
        count = case.choose((1, 1, 1, 2, 5))
        spec.connectionPathList.explicitItems = list(
            dict.fromkeys(_anything(case, spec) for _ in range(count))
        )
        case.touch(spec, f"is connected to {list(spec.connectionPathList.explicitItems)}")


@register
def cyclic_connection(case: Case) -> None:
    spec = case.spec(_connectable)
    if spec is None:
        return
    target = next(iter(spec.connectionPathList.GetAddedOrExplicitItems()))
    there = spec.layer.GetAttributeAtPath(target)
    if there is None:
        there = spec
    there.connectionPathList.explicitItems = [spec.path.StripAllVariantSelections()]
    case.touch(there, "is connected to what it feeds")
    case.touch(spec, "is connected to what feeds on it")


@register
def broken_connection(case: Case) -> None:
    spec = case.spec(_connectable)
    if spec is not None:
        spec.connectionPathList.ClearEditsAndMakeExplicit()
        case.touch(spec, "has its connection blocked")


@register
def crossed_connections(case: Case) -> None:
    first, second = case.spec(_connectable), case.spec(_connectable)
    if first is not None and second is not None:
        first.connectionPathList.explicitItems = list(second.connectionPathList.GetAddedOrExplicitItems())
        case.touch(first, f"takes what {second.path} takes")


@register
def endless_graph(case: Case) -> None:
    """A chain of node graphs so long that following it by recursion would end in a trace."""
    spec = case.spec(_connectable)
    if spec is None:
        return
    owner, length = owner_of(spec), case.choose((20, 400))
    target = next(iter(spec.connectionPathList.GetAddedOrExplicitItems()))
    for number in range(length):
        graph = Sdf.PrimSpec(owner, f"Chain{number}", Sdf.SpecifierDef, "NodeGraph")
        port = Sdf.AttributeSpec(graph, "outputs:out", spec.typeName)
        port.connectionPathList.explicitItems = [target]
        target = port.path.StripAllVariantSelections()
    spec.connectionPathList.explicitItems = [target]
    case.touch(spec, f"goes through {length} node graphs")


@register
def wrong_shader_id(case: Case) -> None:
    spec = case.spec(lambda s: isinstance(s, Sdf.AttributeSpec) and s.name == "info:id")
    if spec is not None:
        spec.default = case.choose(_IDS)
        case.touch(spec, f"is {spec.default!r}")


@register
def wrong_file(case: Case) -> None:
    spec = case.spec(lambda s: isinstance(s, Sdf.AttributeSpec) and isinstance(s.default, Sdf.AssetPath))
    if spec is not None:
        own = f"./{case.root}"
        path = case.choose((*_PATHS, own))
        spec.default = Sdf.AssetPath(path)
        case.touch(spec, f"is @{path[:40]}@")


@register
def added_input(case: Case) -> None:
    """An input that a reader asks for, with a value of a type that it does not expect."""
    shader = case.spec(lambda s: isinstance(s, Sdf.PrimSpec) and s.typeName == "Shader")
    if shader is None:
        return
    names = ("scale", "bias", "fallback", "wrapS", "sourceColorSpace", "varname", "rotation", "translation")
    name = "inputs:" + case.choose((*names, "diffuseColor", "occlusion", "normal", "roughness", "opacity"))
    kind, value = case.choose(
        (("Float", 0.5), ("String", "text"), ("Float2Array", [(0, 1)]), ("Token", "banana"), ("Bool", True))
    )
    if name in shader.properties:
        shader.RemoveProperty(shader.properties[name])
    spec = Sdf.AttributeSpec(shader, name, getattr(Sdf.ValueTypeNames, kind))
    if case.rng.random() < 0.8:
        spec.default = value
    case.touch(spec, f"is {kind} {value}")


def _is_binding(spec: Sdf.Spec) -> bool:
    return isinstance(spec, Sdf.RelationshipSpec) and spec.name.startswith("material:binding")


@register
def astray_binding(case: Case) -> None:
    spec = case.spec(_is_binding)
    if spec is not None:
        targets = list(dict.fromkeys(_anything(case, spec) for _ in range(case.choose((1, 1, 2)))))
        spec.targetPathList.explicitItems = targets if case.rng.random() < 0.9 else []
        if case.rng.random() < 0.3:
            word = case.choose(("strongerThanDescendants", "banana", ""))
            spec.SetInfo("bindMaterialAs", word)
        case.touch(spec, f"binds {targets}")


@register
def binding_is_an_attribute(case: Case) -> None:
    spec = case.spec(_is_binding)
    if spec is not None:
        owner, name = owner_of(spec), spec.name
        owner.RemoveProperty(spec)
        spec = Sdf.AttributeSpec(owner, name, Sdf.ValueTypeNames.String)
        spec.default = "/World/Looks/Paint"
        case.touch(spec, "is an attribute")


@register
def strange_collection(case: Case) -> None:
    prim = case.spec(lambda s: isinstance(s, Sdf.PrimSpec) and s.typeName in ("Xform", "Mesh", "Scope"))
    if prim is None:
        return
    prim.SetInfo(
        "apiSchemas", Sdf.TokenListOp.Create(prependedItems=["MaterialBindingAPI", "CollectionAPI:x"])
    )
    name = case.choose(("material:binding:collection:x", "material:binding:collection:full:x"))
    if name in prim.properties:
        return
    relationship = Sdf.RelationshipSpec(prim, name)
    own = prim.path.StripAllVariantSelections()
    relationship.targetPathList.explicitItems = case.choose(
        (
            [],
            [own],
            [own.AppendProperty("collection:x"), Sdf.Path("/Gone")],
            [own.AppendProperty("collection:gone"), own],
            [own.AppendProperty("collection:x"), own, own.AppendProperty("points")],
        )
    )
    relationship.SetInfo("bindMaterialAs", "strongerThanDescendants")
    includes = Sdf.RelationshipSpec(prim, "collection:x:includes")
    includes.targetPathList.explicitItems = [own.AppendProperty("collection:x"), own]  # includes itself
    case.touch(prim, "has a strange collection")


@register
def strange_subsets(case: Case) -> None:
    mesh = case.spec(lambda s: isinstance(s, Sdf.PrimSpec) and "faceVertexCounts" in s.attributes)
    if mesh is None:
        return
    binding = next(iter(mesh.relationships), None)
    for number in range(int(case.rng.integers(1, 4))):
        if f"Fault{number}" in mesh.nameChildren:
            continue
        subset = Sdf.PrimSpec(mesh, f"Fault{number}", Sdf.SpecifierDef, "GeomSubset")
        indices = Sdf.AttributeSpec(subset, "indices", Sdf.ValueTypeNames.IntArray)
        indices.default = case.choose(
            ([], [0], [0, 0, 0], [-1], [2**31 - 1], [0, 1, 2, 3], list(range(-5, 40)))
        )
        for name, words in (
            ("elementType", ("face", "face", "face", "point", "edge", "banana")),
            ("familyName", ("materialBind", "materialBind", "banana", "")),
        ):
            attribute = Sdf.AttributeSpec(subset, name, Sdf.ValueTypeNames.Token, Sdf.VariabilityUniform)
            attribute.default = case.choose(words)
        own = Sdf.RelationshipSpec(subset, "material:binding")
        targets = list(binding.targetPathList.GetAddedOrExplicitItems()) if binding is not None else []
        own.targetPathList.explicitItems = case.choose((targets, [Sdf.Path("/Gone")], [subset.path]))
    case.touch(mesh, "has strange subsets")
