"""The classes that our Materials inherit: the master dial, and a record of how each style was made.

    class "_class_Stylized"
    {
        float inputs:strength = 0.3      of every object at once; not there as it is written
    }
    class "_class_Stylized_ink" (prepend apiSchemas = ["AuthorshipAPI:usdstylize"]) { … }

Every Material inherits the first, and the variant of each style its record. What a Material inherits is
stronger than its own variants, also where it is authored in a stage that references the result. Where the
first class has no opinion, each Material's own dial counts.
"""

from collections.abc import Iterable, Mapping

from pxr import Sdf, UsdMedia, Vt

from usdstylize.usd.write.specs import apply_schema, prim_spec

__all__ = [
    "DIAL",
    "MASTER",
    "clear_dials",
    "has_opinion",
    "inherit_master",
    "inherit_record",
    "recorded_inputs",
    "write_master",
    "write_record",
]

MASTER = Sdf.Path("/_class_Stylized")
DIAL = "strength"
"""The Material's input that scales T_S, without ``inputs:``."""

_RECORD = "usdstylize"
"""Instance of AuthorshipAPI."""
_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""The source's textures, and what was optimised with a trained network added to them."""
_Types = Sdf.ValueTypeNames


def inherit_master(material: Sdf.PrimSpec) -> None:
    """Let one of our Materials follow the master dial."""
    material.inheritPathList.prependedItems = [MASTER]


def inherit_record(variant: Sdf.PrimSpec, style: str) -> None:
    """Let a style's variant of one of our Materials have the record of that style."""
    variant.inheritPathList.prependedItems = [_record_path(style)]


def write_master(layer: Sdf.Layer) -> None:
    """Write the class, where it is not there; an opinion on it stays."""
    prim_spec(layer, MASTER, specifier=Sdf.SpecifierClass)


def write_record(
    layer: Sdf.Layer,
    style: str,
    *,
    version: str,
    date: str,
    inputs: Mapping[str, str],
    creator: str | None,
    usage_terms: str | None,
) -> None:
    """Write how a style was made, in place of an earlier record of it.

    date: ISO 8601. inputs: what shaped the style, by name; no paths of this machine.
    creator, usage_terms: as an earlier run named them where they are None.
    """
    spec = prim_spec(layer, _record_path(style), specifier=Sdf.SpecifierClass)
    apply_schema(spec, f"{UsdMedia.Tokens.AuthorshipAPI}:{_RECORD}")
    named = {
        "softwarePackage": "usdstylize",
        "softwareVersion": version,
        "digitalSourceType": _SOURCE_TYPE,
        "created": date,
        "usageTerms": usage_terms,
    }
    for name, text in named.items():
        if text is not None:
            _attribute(spec, name, _Types.String).default = text
    pairs = [word for pair in inputs.items() for word in pair]
    _attribute(spec, "inputs", _Types.StringArray).default = Vt.StringArray(pairs)
    if creator is not None:
        _attribute(spec, "creator", _Types.StringArray).default = Vt.StringArray([creator])


def recorded_inputs(layer: Sdf.Layer, style: str) -> dict[str, str]:
    """What shaped a style, by name, as its record has it."""
    name = f"authorship:{_RECORD}:inputs"
    found = layer.GetAttributeAtPath(_record_path(style).AppendProperty(name))
    words = list(found.default or ()) if found else []
    return dict(zip(words[::2], words[1::2], strict=False))


def has_opinion(layer: Sdf.Layer) -> bool:
    """Whether the class has a strength, which every object's own has to give way to."""
    return layer.GetAttributeAtPath(MASTER.AppendProperty(f"inputs:{DIAL}")) is not None


def clear_dials(layers: Iterable[Sdf.Layer], materials: Iterable[Sdf.Path]) -> None:
    """Remove the strengths that are stronger than what the variants of these Materials say: an artist's."""
    paths = (MASTER, *materials)
    for layer in layers:
        for path in paths:
            spec = layer.GetPrimAtPath(path)
            dial = spec.properties.get(f"inputs:{DIAL}") if spec else None
            if dial is not None:
                spec.RemoveProperty(dial)


def _record_path(style: str) -> Sdf.Path:
    return Sdf.Path(f"{MASTER}_{style}")


def _attribute(spec: Sdf.PrimSpec, name: str, kind: Sdf.ValueTypeName) -> Sdf.AttributeSpec:
    whole = f"authorship:{_RECORD}:{name}"
    found = spec.attributes.get(whole)
    return found or Sdf.AttributeSpec(spec, whole, kind, Sdf.VariabilityUniform)
