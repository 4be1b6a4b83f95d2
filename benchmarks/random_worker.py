"""A worker, or a member of a torchrun, whose networks have random weights: see `benchmarks.several_gpus`."""

import os
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks import no_usd  # noqa: F401
from benchmarks.plain_networks import clip_weights
from usdstylize.encoders.clip import ClipResNet50
from usdstylize.encoders.vgg16 import Vgg16
from usdstylize.losses import objective

__all__ = ["install"]


def install() -> None:
    """From now on every network has random weights, in this process."""

    def load(name: str, *, device: str, dtype: torch.dtype, folder: Path | None, bn_relu: bool) -> Any:
        torch.manual_seed(0)
        clip = name == "clip-rn50"
        model = ClipResNet50(bn_relu=bn_relu, state=clip_weights()) if clip else Vgg16(caffe=True)
        model = model.eval().requires_grad_(False)
        return model.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    objective.load_encoder = load


if __name__ == "__main__":
    install()
    if "WORLD_SIZE" in os.environ:
        from benchmarks import several_gpus
        from usdstylize.distributed import torchrun

        # Even one process alone is a process group here, so that all are timed alike.
        sys.exit(torchrun.run(several_gpus.lead))
    from usdstylize.distributed import worker

    worker.main()
