"""Copies of surface shaders that are no descendants of their material: our variants cannot change those."""

from collections.abc import Collection

from pxr import Sdf, UsdShade

from usdstylize.usd.write.specs import add_input

__all__ = ["copy_inputs", "relocated"]


def copy_inputs(
    spec: Sdf.PrimSpec,
    surface: UsdShade.Shader,
    *,
    without: Collection[str],
    source: Sdf.Path,
    ours: Sdf.Path,
) -> None:
    """Write the inputs of ``surface`` to ``spec``: connections, values, time samples and colour spaces.

    without: the inputs that are left out. source: the source's material. ours: our material, which
    references it; connections into the source's become connections into ours.
    """
    for item in surface.GetInputs():
        if item.GetBaseName() in without:
            continue
        attribute, name, kind = item.GetAttr(), item.GetBaseName(), item.GetTypeName()
        for connection in attribute.GetConnections()[:1]:
            add_input(spec, name, kind, relocated(connection, source, ours))
        samples = attribute.GetTimeSamples()
        value = attribute.Get()
        if value is None and not samples:
            continue
        copy = spec.attributes.get(f"inputs:{name}") or Sdf.AttributeSpec(spec, f"inputs:{name}", kind)
        if value is not None:
            copy.default = value
        for time in samples:
            spec.layer.SetTimeSample(copy.path, time, attribute.Get(time))
        if attribute.HasColorSpace():
            copy.SetInfo("colorSpace", attribute.GetColorSpace())


def relocated(path: Sdf.Path, source: Sdf.Path, ours: Sdf.Path) -> Sdf.Path:
    """``path`` in our material where it lies in the source's; else ``path`` itself."""
    return path.ReplacePrefix(source, ours) if path.HasPrefix(source) else path
