"""Which version of MaterialX a live network is of."""

from pxr import Sdf, Usd, UsdShade

from usdstylize.usd.write.specs import apply_schema

__all__ = ["write_version"]

_SCHEMA = "MaterialXConfigAPI"
_VERSION = "config:mtlx:version"
_OURS = "1.39"
_CHANGED = ("ND_swizzle_", "ND_atan2_", "ND_thin_film_")
"""How the names of nodes begin that mean something else since 1.39, or are not in it."""
_RENAMED = "ND_normalmap"


def write_version(variant: Sdf.PrimSpec, material: UsdShade.Material | None) -> None:
    """Write it into a style's variant; without a version, readers take any network for one of 1.38.

    material: the source's, whose own version stays. Where it has none and nodes of 1.38, it stays without.
    """
    if material and (_has_version(material.GetPrim()) or _is_old(material.GetPrim())):
        return
    apply_schema(variant, _SCHEMA)
    Sdf.AttributeSpec(variant, _VERSION, Sdf.ValueTypeNames.String).default = _OURS


def _has_version(material: Usd.Prim) -> bool:
    """Whether the source has a version. usdMtlx gives one to a document, where a client has it."""
    if any(".mtlx" in spec.layer.identifier for spec in material.GetPrimStack()):
        return True
    # usd-core does not know the schema, so that it is in none of a prim's applied schemas.
    applied = material.GetMetadata("apiSchemas")
    return material.HasAttribute(_VERSION) or bool(applied and _SCHEMA in applied.GetAddedOrExplicitItems())


def _is_old(material: Usd.Prim) -> bool:
    shaders = [UsdShade.Shader(prim) for prim in Usd.PrimRange(material) if prim.IsA(UsdShade.Shader)]
    ids = [str(shader.GetShaderId()) for shader in shaders]
    return any(name == _RENAMED or name.startswith(_CHANGED) for name in ids)
