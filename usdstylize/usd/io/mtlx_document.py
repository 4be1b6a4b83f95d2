"""A MaterialX document as UsdShade prims, where the plugin usdMtlx would put them.

Materials lie at /MaterialX/Materials/NAME with their surface shader and their node graphs as
children; a graph of loose nodes is called NodeGraphs. Looks are left out: a USD stage binds for
itself. Needs the MaterialX package.
"""

from functools import cache
from pathlib import Path
from typing import Any

from pxr import Gf, Sdf, Tf

__all__ = ["MissingMaterialXError", "read_document"]

_Types = Sdf.ValueTypeNames
_TYPES: dict[str, Sdf.ValueTypeName] = {
    "boolean": _Types.Bool,
    "integer": _Types.Int,
    "float": _Types.Float,
    "color3": _Types.Color3f,
    "color4": _Types.Color4f,
    "vector2": _Types.Float2,
    "vector3": _Types.Float3,
    "vector4": _Types.Float4,
    "matrix33": _Types.Matrix3d,
    "matrix44": _Types.Matrix4d,
    "string": _Types.String,
    "filename": _Types.Asset,
    "geomname": _Types.String,
    "integerarray": _Types.IntArray,
    "floatarray": _Types.FloatArray,
    "stringarray": _Types.StringArray,
}
"""USD's name of a MaterialX type; shaders and the like are tokens."""
_VECTORS: dict[str, tuple[Any, int]] = {
    "color3": (Gf.Vec3f, 3),
    "color4": (Gf.Vec4f, 4),
    "vector2": (Gf.Vec2f, 2),
    "vector3": (Gf.Vec3f, 3),
    "vector4": (Gf.Vec4f, 4),
    "matrix33": (Gf.Matrix3d, 9),
    "matrix44": (Gf.Matrix4d, 16),
}
_TERMINALS = {"surfaceshader": "surface", "displacementshader": "displacement", "volumeshader": "volume"}
_ROOT = Sdf.Path("/MaterialX")
_LOOSE = "NodeGraphs"


class MissingMaterialXError(Exception):
    """The MaterialX package is not installed."""


def read_document(path: Path, layer: Sdf.Layer) -> None:
    """Write what a document holds into ``layer``, and the documents it includes into its metadata.

    Raises MissingMaterialXError where the package is not there, and whatever MaterialX raises for a
    document that it cannot read.
    """
    library = _library()
    import MaterialX as mx

    document = mx.createDocument()
    mx.readFromXmlFile(document, str(path))
    if hasattr(document, "setDataLibrary"):
        document.setDataLibrary(library)
    else:
        document.importLibrary(library)
    included = sorted(
        str(file if file.is_absolute() else path.parent / file)
        for file in map(Path, document.getReferencedSourceUris())
        if file != path
    )
    layer.customLayerData = {"includes": included}
    with Sdf.ChangeBlock():
        root = Sdf.PrimSpec(layer, _ROOT.name, Sdf.SpecifierDef)
        materials = Sdf.PrimSpec(root, "Materials", Sdf.SpecifierDef)
        for material in document.getMaterialNodes():
            shaders = [
                (shader, terminal)
                for kind, terminal in _TERMINALS.items()
                for shader in mx.getShaderNodes(material, kind)
            ]
            try:
                spec = Sdf.PrimSpec(materials, _name(material), Sdf.SpecifierDef, "Material")
                for shader, terminal in shaders:
                    _write_shader(document, spec, shader, terminal)
            except Tf.ErrorException:  # a name that USD does not take: no reader could present it
                continue


@cache
def _library() -> Any:
    """The standard node definitions, read once. Raises MissingMaterialXError."""
    try:
        import MaterialX as mx
    except ImportError as problem:
        raise MissingMaterialXError from problem
    library = mx.createDocument()
    mx.loadLibraries(mx.getDefaultDataLibraryFolders(), mx.getDefaultDataSearchPath(), library)
    return library


def _write_shader(document: Any, material: Sdf.PrimSpec, node: Any, terminal: str) -> None:
    """A surface: every input of its definition on the material, and connected to it from the shader."""
    definition = node.getNodeDef()
    if definition is None or _name(node) in material.nameChildren:
        return
    shader = _shader(material, node, definition)
    for declared in definition.getActiveInputs():
        outer = _attribute(material, f"inputs:{declared.getName()}", _usd_type(declared))
        inner = _attribute(shader, f"inputs:{declared.getName()}", _usd_type(declared))
        inner.connectionPathList.explicitItems = [outer.path]
    for item in node.getInputs():
        _set_value(_attribute(material, f"inputs:{item.getName()}", _usd_type(item)), item)
        source = _source(document, material, item)
        if source is not None:
            inner = _attribute(shader, f"inputs:{item.getName()}", _usd_type(item))
            inner.connectionPathList.explicitItems = [source]
    output = _attribute(shader, f"outputs:{terminal}", _Types.Token)
    own = _attribute(material, f"outputs:mtlx:{terminal}", _Types.Token)
    own.connectionPathList.explicitItems = [output.path]


def _source(document: Any, parent: Sdf.PrimSpec, item: Any) -> Sdf.Path | None:
    """The output that feeds an input of the document's own nodes; its graph is written into ``parent``.

    A graph whose output is not named stays unconnected, as in usdMtlx.
    """
    graph_name, node_name = item.getAttribute("nodegraph"), item.getAttribute("nodename")
    output = item.getAttribute("output")
    graph = document.getNodeGraph(graph_name) if graph_name and output else None
    if graph is not None:
        spec = parent.nameChildren.get(_name(graph)) or _write_graph(document, parent, graph, _name(graph))
    elif not (node_name or (output and not graph_name)):
        return None
    elif parent.name == _LOOSE:
        spec = parent
    else:
        spec = parent.nameChildren.get(_LOOSE) or _write_graph(document, parent, document, _LOOSE)
    if node_name:
        return _output_of(document, spec, node_name, output)
    names = [found.getName() for found in (graph or document).getOutputs()]
    return spec.path.AppendProperty(f"outputs:{output}") if output in names else None


def _write_graph(document: Any, parent: Sdf.PrimSpec, graph: Any, name: str) -> Sdf.PrimSpec:
    """A NodeGraph of all nodes of ``graph``, or of the document's loose ones."""
    spec = Sdf.PrimSpec(parent, name, Sdf.SpecifierDef, "NodeGraph")
    interface: dict[str, Sdf.Path] = {}
    for item in graph.getInputs() if name != _LOOSE else ():
        attribute = _attribute(spec, f"inputs:{item.getName()}", _usd_type(item))
        _set_value(attribute, item)
        interface[item.getName()] = attribute.path
    for node in graph.getNodes():
        if node.getType() in ("material", "surfaceshader"):
            continue
        definition = node.getNodeDef()
        shader = _shader(spec, node, definition)
        for item in node.getInputs():
            attribute = _attribute(shader, f"inputs:{item.getName()}", _usd_type(item))
            _set_value(attribute, item)
            source = interface.get(item.getAttribute("interfacename"))
            if source is None and name == _LOOSE:
                source = _source(document, spec, item)
            elif source is None:
                source = _output_of(graph, spec, item.getAttribute("nodename"), item.getAttribute("output"))
            if source is not None:
                attribute.connectionPathList.explicitItems = [source]
        for output in definition.getActiveOutputs() if definition is not None else ():
            _attribute(shader, f"outputs:{output.getName()}", _usd_type(output))
    for output in graph.getOutputs():
        attribute = _attribute(spec, f"outputs:{output.getName()}", _usd_type(output))
        source = _output_of(graph, spec, output.getAttribute("nodename"), output.getAttribute("output"))
        if source is not None:
            attribute.connectionPathList.explicitItems = [source]
    return spec


def _output_of(graph: Any, spec: Sdf.PrimSpec, node_name: str, output: str) -> Sdf.Path | None:
    """An output of a node of the graph, the first where none is named; None where it is not there."""
    node = graph.getNode(node_name) if node_name else None
    definition = node.getNodeDef() if node is not None else None
    names = [found.getName() for found in definition.getActiveOutputs()] if definition is not None else []
    if not names or (len(names) > 1 and output not in names):
        return None
    name = output if len(names) > 1 else names[0]
    return spec.path.AppendChild(_name(node)).AppendProperty(f"outputs:{name}")


def _shader(parent: Sdf.PrimSpec, node: Any, definition: Any) -> Sdf.PrimSpec:
    spec = Sdf.PrimSpec(parent, _name(node), Sdf.SpecifierDef, "Shader")
    if definition is not None:
        identifier = Sdf.AttributeSpec(spec, "info:id", _Types.Token, Sdf.VariabilityUniform)
        identifier.default = definition.getName()
    return spec


def _attribute(spec: Sdf.PrimSpec, name: str, type_name: Sdf.ValueTypeName) -> Sdf.AttributeSpec:
    return spec.attributes.get(name) or Sdf.AttributeSpec(spec, name, type_name)


def _set_value(attribute: Sdf.AttributeSpec, item: Any) -> None:
    """The input's value, file prefix included, and its colour space where it is not the document's."""
    # An empty value would resolve to the file prefix alone.
    value = _value(item.getType(), item.getResolvedValueString()) if item.getValueString() else None
    if value is not None:
        attribute.default = value
    space = item.getActiveColorSpace()
    if space and space != item.getDocument().getActiveColorSpace() and _is_color(item):
        attribute.SetInfo("colorSpace", space)


def _value(kind: str, text: str) -> Any:
    """A value as USD holds it; None for what is no value of its type, or of a type that stays unset."""
    if kind in ("string", "filename", "geomname"):
        return (Sdf.AssetPath(text) if kind == "filename" else text) if text else None
    if kind == "boolean":
        return {"true": True, "false": False}.get(text.strip().lower())
    try:
        if kind in ("integer", "float"):
            return int(text) if kind == "integer" else float(text)
        if kind in _VECTORS:
            make, length = _VECTORS[kind]
            numbers = [float(number) for number in text.split(",")]
            return make(*numbers) if len(numbers) == length else None
    except ValueError:
        return None
    return None


def _is_color(item: Any) -> bool:
    """A colour, or the file of an image that gives one."""
    if item.getType() != "filename":
        return item.getType() in ("color3", "color4")
    node = item.getParent()
    definition = node.getNodeDef() if node.getCategory() not in ("nodegraph", "materialx") else None
    outputs = definition.getActiveOutputs() if definition is not None else ()
    return any(output.getType() in ("color3", "color4") for output in outputs)


def _usd_type(item: Any) -> Sdf.ValueTypeName:
    return _TYPES.get(item.getType(), _Types.Token)


def _name(element: Any) -> str:
    """As a prim name: a namespace becomes a prefix."""
    name: str = element.getName().replace(":", "__", 1)
    return name
