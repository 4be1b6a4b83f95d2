"""Reading: what a USD stage holds for us, and its arrays. Only this room and author/ import pxr."""

from usdstylize.stage.assets import hash_file, read_bytes
from usdstylize.stage.discovery import discover
from usdstylize.stage.images import read_image
from usdstylize.stage.loading import load

__all__ = ["discover", "hash_file", "load", "read_bytes", "read_image"]
