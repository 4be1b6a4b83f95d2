"""The optimisation of one object, or of a group: random views, three losses, Adam on T_S.

Paper §3, supplement §1.
"""

import copy
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from weakref import WeakSet

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from usdstylize import atlas, render
from usdstylize.errors import MeshError, OptionsError
from usdstylize.losses.objective import Objective, Target, Texels
from usdstylize.objects import Losses, ObjectData, StageObject, StyleSet, StyleTexture
from usdstylize.options import Method

__all__ = ["Optimizer", "choose_device"]

_TELL_EVERY = 5
"""Iterations between two reports: reading a loss waits for the device."""


def choose_device(name: str) -> str:
    """``auto`` is CUDA where there is one, else the CPU. Raises OptionsError for a missing GPU."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise OptionsError("--device cuda: PyTorch finds no CUDA GPU here; use --device cpu.")
    return name


def _key(style: StyleSet, method: Method) -> tuple[int, int]:
    """What tells one objective of a run from another: the seed only where it chooses style features."""
    return id(style), method.seed if method.style_keys else 0


@contextmanager
def _memory_errors() -> Iterator[None]:
    """PyTorch's ways to run out of memory, as Python's."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
            raise MemoryError(str(error)) from error
        raise


class Optimizer:
    """Holds the objective (networks and style features), which every object of a run shares."""

    def __init__(self, style: StyleSet, method: Method, device: str, *, weights: Path | None = None) -> None:
        """Raises WeightsError where the method's networks have no weights."""
        self.method = method
        self._device = device
        self._objective = Objective(style, method, device, weights=weights)
        self._objectives = {_key(style, method): self._objective}
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def restyled(self, style: StyleSet, method: Method) -> "Optimizer":
        """This with an object's own style, seed, texture resolution or cameras; the rest is shared.

        What stops `each` of the one stops the other, too. ``style`` is to be the same instance
        for the same style.
        """
        other = copy.copy(self)
        other.method = method
        with self._lock:
            key = _key(style, method)
            if key not in self._objectives:
                self._objectives[key] = self._objective.restyled(style, method)
            other._objective = self._objectives[key]
        return other

    def each(
        self,
        groups: Sequence[tuple[StageObject, ...]],
        work: Callable[[tuple[StageObject, ...]], None],
    ) -> None:
        """Call ``work``, which calls `optimize`, for every group; on a CPU for several at a time.

        Many small steps leave cores idle that another object can use. How many threads compute
        one object depends on the machine alone, so that a mask does not change a result.

        Raises what ``work`` raises, KeyboardInterrupt included, once every object at hand has
        stopped; objects not yet begun are not begun.
        """
        cores = render.available_cores()
        at_once = min(cores, self.method.objects_at_once) if self._device == "cpu" else 1
        if at_once == 1:
            for group in groups:
                work(group)
            return
        threads = torch.get_num_threads()
        torch.set_num_threads(max(1, cores // at_once))
        pool = ThreadPoolExecutor(at_once)
        try:
            # As they end, not in order: what one object raises must not wait for a longer one.
            for future in as_completed([pool.submit(work, group) for group in groups]):
                future.result()
        except BaseException:
            self._stop.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)
            self._stop.clear()

    @_memory_errors()
    def optimize(
        self,
        objects: Sequence[StageObject],
        data: Sequence[ObjectData],
        *,
        on_iteration: Callable[[int, Losses], None] = lambda number, losses: None,
    ) -> tuple[StyleTexture, ...]:
        """The style texture of each object of one group, which stand together before the cameras.

        The same for the same seed, objects and device. Objects of one look get the same texture.

        Raises MeshError where no camera sees the objects or the losses are not finite, and
        MemoryError where the device's or the machine's memory is too small.
        """
        method, device, size = self.method, self._device, self.method.texture_resolution
        clock = _Stopwatch()
        path = objects[0].path
        assembly = render.assemble(objects, data)
        subject = render.Subject(assembly, (size, size), device)
        visibility = render.EmbreeVisibility(assembly.mesh.points, assembly.mesh.triangles)
        covered = np.stack(
            [
                atlas.covered_texels(assembly.uvs_of(number), sheet.wrap, size)
                for number, sheet in enumerate(assembly.sheets)
            ]
        )
        clock.lap("setup")

        # The name is part of the seed: neither order nor mask changes an object's result.
        random = np.random.default_rng([method.seed, zlib.crc32(objects[0].name.encode())])
        batches = self._batches(path, subject, visibility, random, clock)
        seen = _Seen(len(assembly.sheets), size, device)
        style = torch.zeros(len(assembly.sheets), size, size, 3, device=device, requires_grad=True)
        adam = torch.optim.Adam([style], lr=method.learning_rate[0])
        texels: Texels | None = None
        recent: list[Tensor] = []
        for number in range(1, method.iterations + 1):
            if self._stop.is_set():
                raise KeyboardInterrupt
            progress = (number - 1) / max(1, method.iterations - 1)
            targets = next(batches)
            if texels is None:
                texels = _palette_texels(subject, covered, min(t.view.level for t in targets), device)
            seen.add(targets)
            nnfm, content, palette = self._objective.terms(targets, subject.style_table(style), texels)
            total = (
                method.nnfm_weight * nnfm
                + method.content_weight * content
                + _exponential(method.palette_weight, progress) * palette
            )
            clock.lap("forward")
            adam.param_groups[0]["lr"] = _exponential(method.learning_rate, progress)
            adam.zero_grad(set_to_none=True)
            with torch.backends.cudnn.flags(enabled=True, deterministic=True):
                total.backward()  # type: ignore[no-untyped-call]
            adam.step()
            clock.lap("backward")
            recent = [*recent[-9:], torch.stack([nnfm, content, palette, total]).detach()]
            if number % _TELL_EVERY == 0 or number == method.iterations:
                on_iteration(number, Losses(*recent[-1].tolist()))
        losses = Losses(*torch.stack(recent).mean(0).tolist())
        if not np.isfinite(losses.total):
            raise MeshError(f"{path}: the optimisation did not converge; try another --seed.")

        valid = covered & seen.texels()
        if not valid.any():
            raise MeshError(f"{path}: no camera sees any of its texels; check its normals and UVs.")
        images = [
            atlas.dilate(image, texels_seen, sheet.wrap)
            for image, texels_seen, sheet in zip(
                style.detach().cpu().numpy(), valid, assembly.sheets, strict=True
            )
        ]
        clock.lap("finish")

        def texture(sheets: Sequence[int]) -> StyleTexture:
            own = list(sheets)
            return StyleTexture(
                images=tuple(images[sheet] for sheet in own),
                coverage=float(valid[own].sum() / max(1, covered[own].sum())),
                iterations=method.iterations,
                seed=method.seed,
                seconds=sum(clock.seconds.values()),
                losses=losses,
                stages=dict(clock.seconds),
            )

        return tuple(texture(sheets) for sheets in assembly.sheets_of_object)

    def _batches(
        self,
        path: str,
        subject: render.Subject,
        visibility: render.Visibility,
        random: np.random.Generator,
        clock: "_Stopwatch",
    ) -> Iterator[list[Target]]:
        """Endless batches of random views: from a pool where the method has one, else all new."""
        method = self.method
        cameras = render.draw_cameras(method, random)
        pool: list[Target] = []
        empty = 0
        while True:
            if method.view_pool and len(pool) >= method.view_pool:
                order = random.permutation(len(pool))
                for start in range(0, len(order) - method.batch + 1, method.batch):
                    yield [pool[index] for index in order[start : start + method.batch]]
                continue
            traced = render.trace_views(subject, visibility, list(islice(cameras, method.batch)), method)
            views = [view for view in traced if len(view.pixels)]
            clock.lap("visibility")
            if views:
                targets = self._objective.targets(views)
                clock.lap("targets")
                pool += targets if method.view_pool else []
                yield targets
            else:
                empty += 1
                if empty > 16:
                    raise MeshError(f"{path}: it is invisible from every side; check its geometry.")


def _palette_texels(subject: render.Subject, covered: NDArray[np.bool_], level: float, device: str) -> Texels:
    """The texels of the mip level that the cameras see.

    On finer ones the palette loss would draw stairs of single texels that no other loss sees.
    """
    size = subject.style_size
    whole = min(int(level + 0.5), len(render.level_sizes(*size)) - 1)
    height, width = render.level_sizes(*size)[whole]
    share = F.adaptive_avg_pool2d(torch.from_numpy(covered)[:, None].float(), (height, width)).flatten(1)
    rows, colors = [], []
    for sheet, own in enumerate(share):
        if not own.any():
            continue
        inside = torch.nonzero(own >= min(0.5, float(own.max()))).squeeze(1).to(device)
        rows.append(inside + sheet * subject.rows_per_sheet + render.level_rows(size, whole).start)
        colors.append(subject.base_at(sheet, (height, width)).reshape(-1, 3)[inside])
    return Texels(torch.cat(rows), torch.cat(colors))


class _Seen:
    """Which texels some camera has sampled, at their own mip level or at one a little coarser."""

    def __init__(self, sheets: int, size: int, device: str) -> None:
        self._sizes = render.level_sizes(size, size)
        self._areas = [height * width for height, width in self._sizes]
        self._rows = torch.zeros(sheets * sum(self._areas), dtype=torch.bool, device=device)
        self._known: WeakSet[Target] = WeakSet()

    def add(self, targets: list[Target]) -> None:
        for target in targets:
            if target not in self._known:  # views of a pool come again and again
                self._known.add(target)
                self._mark(target.view)

    def _mark(self, view: render.View) -> None:
        """Not where a pixel at a grazing angle spans a great part of the texture: that is no sight."""
        coarsest = min(int(view.level) + 2, len(self._sizes) - 1)
        end = render.level_rows(self._sizes[0], coarsest).stop
        counts = (view.style.weights > 0.05) & (view.style.rows % sum(self._areas) < end)
        self._rows[view.style.rows[counts].long()] = True

    def texels(self) -> NDArray[np.bool_]:
        """(S, size, size) bool, a picture per sheet, row 0 the top."""
        sheets = self._rows.view(-1, sum(self._areas)).float()
        result = torch.zeros(len(sheets), 1, 1, 1, device=self._rows.device)
        for level, size in zip(
            reversed(torch.split(sheets, self._areas, 1)), reversed(self._sizes), strict=True
        ):
            result = torch.maximum(F.interpolate(result, size, mode="nearest"), level.view(-1, 1, *size))
        return (result[:, 0] > 0).cpu().numpy()


class _Stopwatch:
    """Adds up host seconds by name; a lap ends what ran since the lap before.

    On a CUDA device work is asynchronous, and laps tell only when it was queued.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now


def _exponential(ends: tuple[float, float], progress: float) -> float:
    """From the first value to the last along an exponential; ``progress`` runs from 0 to 1."""
    first, last = ends
    return first * (last / first) ** progress if first > 0 and last > 0 else first
