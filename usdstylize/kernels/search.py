"""The nearest of many keys: a row-wise argmax of a matrix product that never exists in memory.

A program holds some rows and walks over a share of the keys, with the greatest value so far of
every place in its tile of products. It remembers only which group of a few consecutive keys
that value came from, since asking for each product which key it is would cost more than the
product. A second kernel joins the shares and takes the best key of the winning group.

The reference is `losses.nnfm.nearest_keys` on a CPU: a product and its maximum. On an H200 these take 1.09 ms
for 32,768 rows, 4,096 keys and 256 channels; this takes 0.19 ms (docs/performance.md).
"""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["nearest"]

_LEAST_TILES = 4
"""Tiles of keys that a program walks over at least: fewer would not pay for its rows, unless
multiprocessors had nothing to do."""
_FINAL_ROWS = 4
"""Rows that a program of the second kernel finishes: each with a group's keys."""
_WAVES = 8
"""Programs per multiprocessor that are enough: more only lengthen the second step."""


@dataclass(frozen=True)
class _Tiles:
    """Rows and keys of a tile of products, channels taken at a time, and how the loop is pipelined.

    group: consecutive keys of which the first kernel knows the greatest only.
    """

    rows: int
    keys: int
    channels: int
    warps: int
    stages: int
    group: int


def _tiles(channels: int, rows: int) -> _Tiles:
    """The tile sizes for a shape. They are never timed: that costs start-up, and results would depend on it.

    Up to 256 channels the rows stay in shared memory, and only keys are read in the loop.
    """
    if channels > 256:
        return _Tiles(128, 256, 64, 8, 4, 8) if rows > 4096 else _Tiles(64, 128, 64, 4, 4, 8)
    tile_rows, warps = (128, 8) if rows > 1024 else (64, 4)
    return _Tiles(tile_rows, 128, channels, warps, 3 if channels <= 64 else 2, 4)


def nearest(rows: Tensor, keys: Tensor, bias: Tensor | None = None) -> Tensor:
    """(M,) int64: for each row the index of the key with the greatest ``row · key + bias``.

    rows: (M, C) bfloat16 or float16. keys: (N, C) of the same dtype, N at most 2^30. bias: (N,)
    float32, or None. C is any number up to 256, or a multiple of 64. Products are summed in
    float32; of equal ones the lowest index wins. The same inputs give the same indices, however
    many programs share the keys.
    """
    count, channels = rows.shape
    total = len(keys)
    rows, keys = rows.contiguous(), keys.contiguous()
    padded = max(16, triton.next_power_of_2(channels))
    tiles = _tiles(padded, count)
    row_tiles, key_tiles = triton.cdiv(count, tiles.rows), triton.cdiv(total, tiles.keys)
    processors = _processors(rows)
    enough = min(triton.cdiv(_WAVES * processors, row_tiles), key_tiles // _LEAST_TILES)
    needed = min(triton.cdiv(processors, row_tiles), key_tiles)
    per_share = triton.cdiv(key_tiles, max(enough, needed, 1))
    shares = triton.cdiv(key_tiles, per_share)
    values = torch.empty(shares, count, dtype=torch.float32, device=rows.device)
    groups = torch.empty(shares, count, dtype=torch.int32, device=rows.device)
    result = torch.empty(count, dtype=torch.int64, device=rows.device)
    if not count:
        return result
    with torch.cuda.device_of(rows):
        _best_groups[(row_tiles, shares)](
            rows,
            keys,
            values if bias is None else bias,
            values,
            groups,
            count,
            total,
            per_share,
            channels=channels,
            padded=tiles.channels,
            tile_rows=tiles.rows,
            tile_keys=tiles.keys,
            group=tiles.group,
            biased=bias is not None,
            num_warps=tiles.warps,
            num_stages=tiles.stages,
        )
        _best_keys[(triton.cdiv(count, _FINAL_ROWS),)](
            rows,
            keys,
            values if bias is None else bias,
            values,
            groups,
            result,
            count,
            total,
            shares,
            channels=channels,
            padded=padded,
            tile_rows=_FINAL_ROWS,
            group=tiles.group,
            biased=bias is not None,
            num_warps=4,
        )
    return result


def _processors(rows: Tensor) -> int:
    """The interpreter of the tests has no multiprocessors; any number gives the same result."""
    return torch.cuda.get_device_properties(rows.device).multi_processor_count if rows.is_cuda else 2


@triton.jit(do_not_specialize=["count", "total", "per_share"])
def _best_groups(
    rows_at,
    keys_at,
    bias_at,
    values_at,
    groups_at,
    count,
    total,
    per_share,
    channels: tl.constexpr,
    padded: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_keys: tl.constexpr,
    group: tl.constexpr,
    biased: tl.constexpr,
):
    """Per row and share of the keys the greatest product and its group of consecutive keys.

    Rows and keys past the end repeat the last one, so that the loop needs no mask: a repeated
    key never wins over the key itself, which comes first.
    """
    wide: tl.constexpr = tile_keys // group
    row = tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)
    row_from = tl.minimum(row, count - 1).to(tl.int64) * channels
    # Column p of a tile is key (p % wide) * group + p // wide of it: then a group's products
    # lie `wide` columns apart, all with one thread, and need no exchange.
    column = tl.arange(0, tile_keys)
    key_in_tile = (column % wide) * group + column // wide
    channel = tl.arange(0, padded)
    resident: tl.constexpr = padded >= channels
    full: tl.constexpr = padded == channels
    if resident:
        if full:
            own = tl.load(rows_at + row_from[:, None] + channel[None, :])
        else:
            own = tl.load(rows_at + row_from[:, None] + channel[None, :], channel[None, :] < channels, 0.0)
    best = tl.full((tile_rows, wide), float("-inf"), tl.float32)
    found = tl.zeros((tile_rows, wide), tl.int32)
    first = tl.program_id(1) * per_share
    last = tl.minimum(first + per_share, tl.cdiv(total, tile_keys))
    for tile in tl.range(first, last):
        key = tl.minimum(tile * tile_keys + key_in_tile, total - 1)
        key_from = key.to(tl.int64) * channels
        if resident:
            if full:
                theirs = tl.load(keys_at + key_from[None, :] + channel[:, None])
            else:
                theirs = tl.load(
                    keys_at + key_from[None, :] + channel[:, None], channel[:, None] < channels, 0.0
                )
            product = tl.dot(own, theirs)
        else:
            product = tl.zeros((tile_rows, tile_keys), tl.float32)
            for start in tl.range(0, channels, padded):
                some = tl.load(rows_at + row_from[:, None] + (start + channel)[None, :])
                theirs = tl.load(keys_at + key_from[None, :] + (start + channel)[:, None])
                product = tl.dot(some, theirs, product)
        if biased:
            product += tl.load(bias_at + key)[None, :]
        greatest = tl.max(tl.reshape(product, (tile_rows, group, wide)), axis=1)
        better = greatest > best
        best = tl.where(better, greatest, best)
        found = tl.where(better, tile, found)
    value = tl.max(best, axis=1)
    # the lowest group of those that reach it; a row without any finite product keeps group 0
    number = found * wide + tl.arange(0, wide)[None, :]
    lowest = tl.min(tl.where(best == value[:, None], number, 2147483647), axis=1)
    inside = row < count
    place = tl.program_id(1).to(tl.int64) * count + row
    tl.store(values_at + place, value, inside)
    tl.store(groups_at + place, lowest, inside)


@triton.jit(do_not_specialize=["count", "total", "shares"])
def _best_keys(
    rows_at,
    keys_at,
    bias_at,
    values_at,
    groups_at,
    result_at,
    count,
    total,
    shares,
    channels: tl.constexpr,
    padded: tl.constexpr,
    tile_rows: tl.constexpr,
    group: tl.constexpr,
    biased: tl.constexpr,
):
    """The best group of all shares, and the key in it with the greatest product."""
    row = tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)
    inside = row < count
    row = tl.minimum(row, count - 1)
    best = tl.load(values_at + row)
    winner = tl.load(groups_at + row)
    for share in range(1, shares):
        place = tl.cast(share, tl.int64) * count + row
        value = tl.load(values_at + place)
        better = value > best
        best = tl.where(better, value, best)
        winner = tl.where(better, tl.load(groups_at + place), winner)
    member = tl.arange(0, group)
    key = tl.minimum(winner, (total - 1) // group)[:, None] * group + member[None, :]
    key = tl.minimum(key, total - 1)
    channel = tl.arange(0, padded)
    real = channel < channels
    own = tl.load(rows_at + row.to(tl.int64)[:, None] * channels + channel[None, :], real[None, :], 0.0)
    theirs = tl.load(
        keys_at + key.to(tl.int64)[:, :, None] * channels + channel[None, None, :],
        real[None, None, :],
        0.0,
    )
    product = tl.sum(own.to(tl.float32)[:, None, :] * theirs.to(tl.float32), axis=2)
    if biased:
        product += tl.load(bias_at + key)
    greatest = tl.max(product, axis=1)
    # a row that is not a number reaches nothing: any key will do, as long as there is one
    lowest = tl.min(tl.where(product == greatest[:, None], key, total - 1), axis=1)
    tl.store(result_at + row, lowest.to(tl.int64), inside)
