"""Time, memory and kernels of work on a CUDA GPU, and how fast that GPU is at best."""

import statistics
from collections.abc import Callable

import torch

__all__ = ["captured", "milliseconds", "peak", "profile", "rates"]


def milliseconds(work: Callable[[], object], repeats: int = 10) -> float:
    """The median over a few runs of ``work``, by the device's own clock."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def captured(work: Callable[[], object], times: int = 1) -> torch.cuda.CUDAGraph:
    """``work``, so many times in a row, as a CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(times):
            work()
    return graph


def rates() -> tuple[float, float]:
    """Measured bf16 operations per second of a matrix product, and bytes per second of a copy."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    operations = 2 * 8192**3 / milliseconds(lambda: a @ b) * 1e3
    source = torch.empty(1 << 30, device="cuda", dtype=torch.uint8)
    target = torch.empty_like(source)
    moved = 2 * source.numel() / milliseconds(lambda: target.copy_(source)) * 1e3
    return operations, moved


def peak(work: Callable[[], object]) -> float:
    """GB above what was there before."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 1e9


def profile(work: Callable[[], object]) -> None:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    work()
    torch.cuda.synchronize()
    with record(activities=[ProfilerActivity.CUDA]) as found:
        for _ in range(3):
            work()
        torch.cuda.synchronize()
    table = sorted(found.key_averages(), key=lambda event: -event.self_device_time_total)
    total = sum(event.self_device_time_total for event in table)
    print(f"kernels of one forward and backward: {total / 3e3:.3f} ms on the device")
    for event in table[:28]:
        print(f"  {event.self_device_time_total / 3:9.1f} us {event.count // 3:4d} x  {event.key[:110]}")
