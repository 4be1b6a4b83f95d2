"""Reading: what a USD stage holds for us, and its arrays."""

from usdstylize.usd.read.discovery import discover
from usdstylize.usd.read.loading import load
from usdstylize.usd.read.sharing import Occurrence, by_look

__all__ = [
    "Occurrence",
    "by_look",
    "discover",
    "load",
]
