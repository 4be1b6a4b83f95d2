"""Which render contexts a material has surfaces for."""

from pxr import UsdShade

__all__ = ["only_for_renderers", "surface_contexts"]

_READ = ("", "mtlx", "mdl")
"""The contexts whose surfaces we read, the universal one first."""


def surface_contexts(material: UsdShade.Material) -> list[str]:
    """The contexts whose surface is connected to something, in the material's order; "" is universal."""
    found = []
    for output in material.GetOutputs():
        context, _, terminal = output.GetBaseName().rpartition(":")
        if terminal == "surface" and output.GetAttr().HasAuthoredConnections():
            found.append(context)
    return found


def only_for_renderers(material: UsdShade.Material) -> list[str]:
    """The material's contexts where none of them is one that we read; else empty."""
    contexts = surface_contexts(material)
    return [] if any(context in _READ for context in contexts) else contexts
