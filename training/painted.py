"""Pictures made on the spot: strokes, hatching, glass, fabric and noise, with and without a photograph.

Every function takes and gives (B, 3, R, R) float tensors, sRGB-encoded 0..1, and draws from
the torch generator it is given.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["PAINTERS", "Painter", "noise"]

Painter = Callable[[Tensor, torch.Generator], Tensor]


def _uniform(count: int, low: float, high: float, like: Tensor, generator: torch.Generator) -> Tensor:
    values = torch.rand(count, 1, 1, 1, generator=generator, device=like.device)
    return low + (high - low) * values


def _smooth_field(like: Tensor, cells: int, generator: torch.Generator, channels: int = 1) -> Tensor:
    """(B, channels, R, R) smooth random values of deviation 1 or so, ``cells`` of them across."""
    coarse = torch.randn(len(like), channels, cells, cells, generator=generator, device=like.device)
    return F.interpolate(coarse, like.shape[-2:], mode="bicubic", align_corners=False)


def _directions(photo: Tensor, generator: torch.Generator) -> Tensor:
    """(B, R, R, 2) unit vectors along the edges of the photograph, bent by a smooth random field."""
    gray = F.avg_pool2d(photo.mean(1, keepdim=True), 9, 1, 4)
    across = F.pad(gray[..., 1:] - gray[..., :-1], (0, 1, 0, 0))
    down = F.pad(gray[..., 1:, :] - gray[..., :-1, :], (0, 0, 0, 1))
    angle = torch.atan2(across, -down + 1e-6) + 1.2 * _smooth_field(photo, 5, generator)
    return torch.cat([angle.cos(), angle.sin()], 1).permute(0, 2, 3, 1)


def _grid(like: Tensor) -> Tensor:
    steps = (torch.arange(like.shape[-1], device=like.device) + 0.5) / like.shape[-1] * 2 - 1
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x, y], -1).expand(len(like), -1, -1, -1)


def _along(image: Tensor, directions: Tensor, length: float, steps: int = 12) -> Tensor:
    """The image averaged along the directions, ``length`` in picture widths: lines of a brush."""
    total, weight = torch.zeros_like(image), 0.0
    for sign in (1.0, -1.0):
        place = _grid(image)
        for step in range(steps):
            share = 1.0 - step / steps
            total = total + share * F.grid_sample(
                image, place, padding_mode="reflection", align_corners=False
            )
            weight += share
            turned = F.grid_sample(
                directions.permute(0, 3, 1, 2), place, padding_mode="border", align_corners=False
            )
            place = place + sign * (2 * length / steps) * turned.permute(0, 2, 3, 1)
    return total / weight


def strokes(photo: Tensor, generator: torch.Generator) -> Tensor:
    """Brush strokes: the photograph's colours and coarse noise, drawn out along one field."""
    grain = int(torch.randint(2, 10, (), generator=generator, device=photo.device))
    cells = -(-photo.shape[-1] // grain)
    bristles = torch.randn(len(photo), 3, cells, cells, generator=generator, device=photo.device)
    bristles = 0.5 * bristles + 0.7 * bristles.mean(1, keepdim=True)  # more in tone than in hue
    bristles = F.interpolate(bristles, photo.shape[-2:], mode="nearest")
    colors = F.avg_pool2d(photo, 7, 1, 3) + bristles * _uniform(len(photo), 0.15, 1.2, photo, generator)
    length = float(_uniform(1, 0.02, 0.12, photo, generator))
    drawn = _along(colors, _directions(photo, generator), length)
    relief = drawn - F.avg_pool2d(drawn, 5, 1, 2)
    return drawn + relief * _uniform(len(photo), 0.5, 3.0, photo, generator)


def hatching(photo: Tensor, generator: torch.Generator) -> Tensor:
    """Lines that thicken in the shadows, in one ink on one paper, up to three layers crossing."""
    tone = F.avg_pool2d(photo.mean(1, keepdim=True), 5, 1, 2)
    place = _grid(photo)
    ink, paper = torch.rand(2, len(photo), 3, 1, 1, generator=generator, device=photo.device)
    covered = torch.zeros_like(tone)
    turn = _uniform(len(photo), 0, math.pi, photo, generator)
    for layer in range(3):
        angle = turn + layer * 0.9 + 0.25 * _smooth_field(photo, 4, generator)
        frequency = _uniform(len(photo), 40, 160, photo, generator)
        wave = torch.sin(frequency * (place[..., 0:1].permute(0, 3, 1, 2) * angle.cos()
                                      + place[..., 1:2].permute(0, 3, 1, 2) * angle.sin()))  # fmt: skip
        covered = torch.maximum(covered, torch.sigmoid((wave * 0.5 + 0.65 - tone - 0.25 * layer) * 12))
    return ink * 0.4 * covered + (0.6 + 0.4 * paper) * (1 - covered)


def glass(photo: Tensor, generator: torch.Generator) -> Tensor:
    """Panes of flat colour with dark lead between them; or facets, where the lead has no width."""
    count = int(torch.randint(40, 400, (), generator=generator, device=photo.device))
    seeds = torch.rand(len(photo), count, 2, generator=generator, device=photo.device) * 2 - 1
    place = _grid(photo).reshape(len(photo), -1, 2)
    distance, nearest = torch.cdist(place, seeds).topk(2, largest=False)
    colors = F.grid_sample(photo, seeds[:, None], align_corners=False)[:, :, 0]
    panes = colors.gather(2, nearest[:, None, :, 0].expand(-1, 3, -1)).view_as(photo)
    border = (distance[..., 1] - distance[..., 0]).view(len(photo), 1, *photo.shape[-2:])
    lead = (border < _uniform(len(photo), 0.0, 0.03, photo, generator)).float()
    return panes * (1 - lead) + 0.08 * lead


def fabric(photo: Tensor, generator: torch.Generator) -> Tensor:
    """A weave of two threads over the photograph's soft colours."""
    place = _grid(photo).permute(0, 3, 1, 2) * _uniform(len(photo), 30, 120, photo, generator)
    warp, weft = place[:, :1].sin(), place[:, 1:].sin()
    over = torch.where((place[:, :1].floor() + place[:, 1:].floor()) % 2 == 0, warp, weft)
    soft = F.avg_pool2d(photo, 15, 1, 7)
    fuzz = torch.randn(photo.shape, generator=generator, device=photo.device) * 0.05
    return soft + over * _uniform(len(photo), 0.05, 0.25, photo, generator) + fuzz


def flat(photo: Tensor, generator: torch.Generator) -> Tensor:
    """Few colours in clean shapes, as in gouache and screen print, some with dry-brush grain."""
    levels = _uniform(len(photo), 2, 6, photo, generator)
    wide = F.avg_pool2d(photo, 9, 1, 4) + 0.03 * _smooth_field(photo, 48, generator, 3)
    grain = _along(
        torch.randn(photo.shape, generator=generator, device=photo.device),
        _directions(photo, generator),
        0.05,
    )
    return (wide * levels).round() / levels + grain * _uniform(len(photo), 0.0, 0.5, photo, generator)


def dots(photo: Tensor, generator: torch.Generator) -> Tensor:
    """A halftone of one turned screen per channel."""
    place = _grid(photo).permute(0, 3, 1, 2)
    frequency = _uniform(len(photo), 40, 140, photo, generator)
    result = []
    for channel, angle in enumerate((0.26, 1.31, 0.0)):
        u = place[:, :1] * math.cos(angle) + place[:, 1:] * math.sin(angle)
        v = -place[:, :1] * math.sin(angle) + place[:, 1:] * math.cos(angle)
        screen = ((frequency * u).sin() * (frequency * v).sin() + 1) / 2
        result.append(torch.sigmoid((photo[:, channel : channel + 1] - screen) * 10))
    return torch.cat(result, 1)


def noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Sums of noise of random sizes in both directions, smooth or blocky, in random colours."""
    total = torch.zeros_like(like)
    for _ in range(4):
        cells = [2 ** int(torch.randint(2, 8, (), generator=generator, device=like.device)) for _ in range(2)]
        coarse = torch.randn(len(like), 3, *cells, generator=generator, device=like.device)
        mode = "nearest" if float(_uniform(1, 0, 1, like, generator)) < 0.4 else "bicubic"
        total = total + F.interpolate(coarse, like.shape[-2:], mode=mode) * _uniform(
            len(like), 0.03, 0.35, like, generator
        )
    tint = torch.randn(len(like), 3, 1, 1, generator=generator, device=like.device)
    return total + 0.5 + 0.2 * tint


PAINTERS: dict[str, Painter] = {
    "strokes": strokes,
    "hatching": hatching,
    "glass": glass,
    "fabric": fabric,
    "flat": flat,
    "dots": dots,
    "noise": noise,
}
