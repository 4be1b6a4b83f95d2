"""A render mesh and the proxy that stands in for it share one texture."""

from collections.abc import Sequence
from dataclasses import replace

from pxr import Sdf, Usd, UsdGeom

from usdstylize.model.objects import StageObject

__all__ = ["share_proxies"]


def share_proxies(stage: Usd.Stage, objects: Sequence[StageObject]) -> tuple[StageObject, ...]:
    """The objects, each proxy with the look of the render object that it stands in for, and last.

    Both must show the same picture at the same UVs; a proxy of another colour, or whose render
    object is not asked for, is stylised for itself. ``proxyPrim`` may relate two meshes, or two
    groups: their alike meshes are then paired, by the same relative path where one has it.
    """
    pairs = _pairs(stage, objects)
    shared: dict[str, StageObject] = {}
    for proxy in objects:
        if UsdGeom.Imageable(stage.GetPrimAtPath(proxy.mesh_path)).ComputePurpose() != UsdGeom.Tokens.proxy:
            continue
        path = Sdf.Path(proxy.path)
        for render_root, proxy_root in pairs:
            if not path.HasPrefix(proxy_root):
                continue
            like_named = str(path.ReplacePrefix(proxy_root, render_root))
            candidates = [
                obj for obj in objects if Sdf.Path(obj.path).HasPrefix(render_root) and _alike(obj, proxy)
            ]
            candidates.sort(key=lambda obj: obj.path != like_named)
            if candidates:
                render = candidates[0]
                shared[render.path] = replace(render, group=render.name)
                shared[proxy.path] = replace(
                    proxy,
                    group=render.name,
                    look=render.name,
                    stands_in=True,
                    notes=(*proxy.notes, f"It stands in for {render.path} and wears its texture."),
                )
                break
    found = [shared.get(obj.path, obj) for obj in objects]
    # A proxy comes after the object whose texture it uses.
    return tuple(sorted(found, key=lambda obj: obj.stands_in))


def _pairs(stage: Usd.Stage, objects: Sequence[StageObject]) -> list[tuple[Sdf.Path, Sdf.Path]]:
    """(render prim, proxy prim) for every ``proxyPrim`` on the objects' meshes or above, nearest first."""
    found: dict[tuple[Sdf.Path, Sdf.Path], None] = {}
    for obj in objects:
        prim: Usd.Prim = stage.GetPrimAtPath(obj.mesh_path)
        while prim and not prim.IsPseudoRoot():
            imageable = UsdGeom.Imageable(prim)
            for target in imageable.GetProxyPrimRel().GetForwardedTargets() if imageable else ():
                found[prim.GetPath(), target] = None
            prim = prim.GetParent()
    return sorted(found, key=lambda pair: -pair[1].pathElementCount)


def _alike(render: StageObject, proxy: StageObject) -> bool:
    """Whether both show the same picture in the same place; two unwrapped meshes never do."""
    return (
        render.path != proxy.path
        and not (render.unwrapped or proxy.unwrapped)
        and (render.base, render.uv_primvar, render.uv_transform, render.settings)
        == (proxy.base, proxy.uv_primvar, proxy.uv_transform, proxy.settings)
        and render.instances == proxy.instances
    )
