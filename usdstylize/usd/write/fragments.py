"""One object's opinions as a layer of their own, and how such layers become the style layer."""

from typing import Any

from pxr import Sdf

from usdstylize.usd.write.material import ORIGINAL

__all__ = ["merge"]

_PREPENDED = {"apiSchemas": False, "inheritPaths": True}
"""List edits that several objects may add to; whether the newest comes first."""


def merge(fragment: Sdf.Layer, layer: Sdf.Layer) -> None:
    """Add the opinions of a fragment to ``layer``; where both have one, the fragment's counts.

    A variant of the fragment replaces that of the same name, so that nothing of an earlier run is left in it;
    `ORIGINAL` stays as it is, the same for every style.
    """
    with Sdf.ChangeBlock():
        for prim in fragment.rootPrims:
            _merge_prim(prim, fragment, layer)


def _merge_prim(prim: Sdf.PrimSpec, fragment: Sdf.Layer, layer: Sdf.Layer) -> None:
    there = layer.GetPrimAtPath(prim.path)
    if there is None:
        _copy(fragment, layer, prim.path)
        return
    for key in prim.ListInfoKeys():
        _merge_info(key, prim, there)
    for attribute in prim.properties:
        _copy(fragment, layer, attribute.path)
    for variant_set in prim.variantSets.values():
        known = there.variantSets[variant_set.name].variants if variant_set.name in there.variantSets else {}
        for variant in variant_set.variants:
            if variant.name not in known:
                _copy(fragment, layer, variant.path)
            elif variant.name != ORIGINAL:
                there.variantSets[variant_set.name].RemoveVariant(known[variant.name])
                _copy(fragment, layer, variant.path)
    for child in prim.nameChildren:
        _merge_prim(child, fragment, layer)


def _merge_info(key: str, prim: Sdf.PrimSpec, there: Sdf.PrimSpec) -> None:
    value = prim.GetInfo(key)
    if key in _PREPENDED:
        there.SetInfo(key, _joined(value, there.GetInfo(key), newest_first=_PREPENDED[key]))
    elif key == "specifier":
        if value != Sdf.SpecifierOver:
            there.specifier = value
    elif isinstance(value, dict):
        there.SetInfo(key, _updated(dict(there.GetInfo(key)), value))
    else:
        there.SetInfo(key, value)


def _joined(new: Any, old: Any, *, newest_first: bool) -> Any:
    added = [item for item in new.prependedItems if item not in old.prependedItems]
    parts = (added, old.prependedItems) if newest_first else (old.prependedItems, added)
    old.prependedItems = [item for part in parts for item in part]
    return old


def _updated(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    both = old.keys() & new.keys()
    nested = {
        k: _updated(old[k], new[k]) for k in both if isinstance(old[k], dict) and isinstance(new[k], dict)
    }
    return {**old, **new, **nested}


def _copy(fragment: Sdf.Layer, layer: Sdf.Layer, path: Sdf.Path) -> None:
    Sdf.CopySpec(fragment, path, layer, path)
