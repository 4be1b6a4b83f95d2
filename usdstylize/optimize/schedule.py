"""How values change over the iterations."""

__all__ = ["exponential"]


def exponential(ends: tuple[float, float], progress: float) -> float:
    """From the first value to the last along an exponential; ``progress`` runs from 0 to 1."""
    first, last = ends
    return first * (last / first) ** progress if first > 0 and last > 0 else first
