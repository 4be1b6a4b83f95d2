"""Surfaces for one renderer alone (``outputs:ri:surface`` and the like): kept, or blocked.

Where a material has one, that renderer shows it and ignores our networks. It is often the show's
final look, so it is switched off only where the TD asks for that; there is always a remark.
"""

from collections.abc import Collection, Sequence

from pxr import Sdf, UsdShade

from usdstylize.usd.shading.contexts import surface_contexts

__all__ = ["ALL", "blocked_contexts", "settle_contexts"]

ALL = "all"
"""Stands for every context."""

_RENDERERS = {
    "ri": "RenderMan",
    "arnold": "Arnold",
    "mdl": "Omniverse",
    "glslfx": "Storm",
    "kma": "Karma",
    "Redshift": "Redshift",
    "redshift": "Redshift",
    "vray": "V-Ray",
}


def settle_contexts(
    variant: Sdf.PrimSpec,
    material: UsdShade.Material,
    *,
    block: Sequence[str],
    ours: Collection[str],
    always: Collection[str] = (),
) -> list[str]:
    """Block the surfaces of the contexts in ``block`` in this variant; returns remarks on the others.

    material: the source's. block: context names, or `ALL`. ours: contexts that show the style
    already, which are left as they are. always: contexts to block without being asked.
    """
    remarks = []
    for context in surface_contexts(material):
        if not context or context in ours:
            continue
        output = material.GetOutput(f"{context}:surface")
        if context in always or context in block or ALL in block:
            blocked = Sdf.AttributeSpec(variant, output.GetFullName(), output.GetTypeName())
            blocked.connectionPathList.ClearEditsAndMakeExplicit()
            continue
        renderer = _RENDERERS.get(context, f"renderers that read {context}")
        remarks.append(
            f"Material {material.GetPath()} has a surface of its own on {output.GetFullName()}, so it still "
            f"renders unstylised in {renderer}; --block-contexts {context} switches that surface off."
        )
    return remarks


def blocked_contexts(variant: Sdf.PrimSpec) -> set[str]:
    """The contexts whose surfaces are blocked in a variant of ours."""
    return {
        name.removeprefix("outputs:").removesuffix(":surface")
        for name, attribute in variant.attributes.items()
        if name.endswith(":surface")
        and attribute.connectionPathList.isExplicit
        and not attribute.connectionPathList.explicitItems
    }
