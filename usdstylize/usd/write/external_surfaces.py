"""A surface that lies outside of its material, where a variant of ours has no reach: it is copied."""

from pxr import Sdf, UsdShade

from usdstylize.usd.write.specs import add_input

__all__ = ["copy_inputs", "moved"]


def copy_inputs(
    spec: Sdf.PrimSpec, surface: UsdShade.Shader, *, but: str, own: Sdf.Path, ours: Sdf.Path
) -> None:
    """Give ``spec`` what the inputs of ``surface`` have: connections, values, animation, colour spaces.

    but: the input that is left out. own, ours: the source's material, and the one that references
    it; connections into the one go to the other.
    """
    for item in surface.GetInputs():
        if item.GetBaseName() == but:
            continue
        attribute, name, kind = item.GetAttr(), item.GetBaseName(), item.GetTypeName()
        for connection in attribute.GetConnections()[:1]:
            add_input(spec, name, kind, moved(connection, own, ours))
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


def moved(path: Sdf.Path, own: Sdf.Path, ours: Sdf.Path) -> Sdf.Path:
    """Where our material has what lies at ``path`` in the source's; ``path`` itself for what is elsewhere."""
    return path.ReplacePrefix(own, ours) if path.HasPrefix(own) else path
