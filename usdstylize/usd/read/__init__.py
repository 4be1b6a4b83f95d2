"""Reading: what a USD stage holds for us, and its arrays."""

from usdstylize.usd.read.discovery import discover
from usdstylize.usd.read.loading import load

__all__ = ["discover", "load"]
