"""The student learns its teacher's maps, on pictures and on what stylising makes of them."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.bank import Bank
from usdstylize.encoders.draft import DraftEncoder
from usdstylize.encoders.loading import Encoder
from usdstylize.losses.nnfm import nnfm_loss, style_keys

__all__ = ["RunSettings", "distill", "map_cosines"]


_KEEP_EVERY = 1000


@dataclass(frozen=True)
class RunSettings:
    """How long and how fast."""

    steps: int = 26_000
    batch: int = 32
    size: int = 192
    """Width and height of a crop, in pixels; the loss sees its maps whole."""
    learning_rate: float = 2e-3
    seed: int = 0


@torch.backends.cudnn.flags(enabled=True, benchmark=True)  # every step has the same shapes
def distill(
    teacher: Encoder,
    student: DraftEncoder,
    bank: Bank,
    recipe: RunSettings,
    *,
    device: str,
    report: Callable[[int, float, list[float]], None] = lambda step, loss, cosines: None,
    keep: Callable[[DraftEncoder], None] = lambda student: None,
) -> DraftEncoder:
    """Train the student; returns the running mean of its weights over the last steps.

    ``keep`` gets that mean now and then, so that a run which is cut short leaves something.

    A third of the steps, after the first sixth, add pictures that a few NNFM steps against the
    student itself have made: there its mistakes are, and the teacher gives the right answer.
    """
    torch.manual_seed(recipe.seed)
    student = student.to(device, memory_format=torch.channels_last).train()
    with torch.no_grad():
        sizes = [rows.float().square().mean().sqrt() for rows in teacher(bank.crops(32, recipe.size))]
        student.scale.copy_(torch.stack(sizes))
    mean = copy.deepcopy(student)
    adam = torch.optim.AdamW(
        student.parameters(), lr=recipe.learning_rate, weight_decay=1e-4, fused=device.startswith("cuda")
    )
    keys: list[Tensor] = []
    for step in range(recipe.steps):
        progress = step / recipe.steps
        warm = min(1.0, (step + 1) / 200)
        adam.param_groups[0]["lr"] = recipe.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * progress))
        images = bank.crops(recipe.batch, recipe.size)
        if keys and progress > 1 / 6 and step % 3 == 0:
            part = recipe.batch // 4
            images[:part] = _stylised(images[:part], student, keys, device)
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            wanted = teacher(images)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            found = student(images)
        loss, cosines = _difference(found, wanted, student.scale)
        adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        adam.step()
        if step % 20 == 0:
            area = [len(rows) // recipe.batch for rows in wanted]
            keys = [
                style_keys(rows[-2 * count :], smooth=student.smooth)
                for rows, count in zip(wanted, area, strict=True)
            ]
        with torch.no_grad():
            share = 1 - min(0.999, (step + 1) / (step + 10))
            torch._foreach_lerp_(list(mean.parameters()), list(student.parameters()), share)
        if step % 500 == 0 or step == recipe.steps - 1:
            report(step, float(loss.detach()), [float(value) for value in cosines])
        if step and step % _KEEP_EVERY == 0:
            keep(mean)
    return mean.eval().requires_grad_(False)


def _difference(
    found: Sequence[Tensor], wanted: Sequence[Tensor], scale: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Cosine first, since NNFM sees nothing else; size too, for the content loss."""
    total = torch.zeros((), device=scale.device)
    cosines = []
    for ours, theirs, size in zip(found, wanted, scale, strict=True):
        ours, theirs = ours.float(), theirs.float()
        cosine = F.cosine_similarity(ours, theirs, dim=1, eps=1e-4).mean()
        apart = (ours - theirs) / size
        total = total + 2 * (1 - cosine) + 0.5 * apart.square().mean() + 0.2 * apart.abs().mean()
        cosines.append(cosine.detach())
    return total, cosines


def _stylised(images: Tensor, student: DraftEncoder, keys: Sequence[Tensor], device: str) -> Tensor:
    """The images after one to four steps of NNFM towards the keys, as the student sees it."""
    for _ in range(int(torch.randint(1, 5, ()))):
        images = images.detach().requires_grad_(True)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            maps = student(images)
        loss = torch.stack(
            [
                nnfm_loss(rows.float(), own, smooth=student.smooth)
                for rows, own in zip(maps, keys, strict=True)
            ]
        ).sum()
        (gradient,) = torch.autograd.grad(loss, images)
        if torch.rand(()) < 0.5:
            step = (0.01 + 0.04 * torch.rand((), device=images.device)) * gradient.sign()
        else:
            length = gradient.square().mean().sqrt().clamp_min(1e-12)
            step = (0.02 + 0.2 * torch.rand((), device=images.device)) * gradient / length
        images = (images - step).clamp(0, 1)
    return images.detach()


@torch.no_grad()
def map_cosines(teacher: Encoder, student: Encoder, pictures: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """Per picture (3, H, W) and map: the mean cosine of the student's features with the teacher's."""
    result = {}
    for name, picture in pictures.items():
        images = picture[None].contiguous(memory_format=torch.channels_last)
        result[name] = [
            float(F.cosine_similarity(a.float(), b.float(), dim=1, eps=1e-6).mean())
            for a, b in zip(student(images), teacher(images), strict=True)
        ]
    return result
