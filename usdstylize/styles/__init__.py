"""Style sets: concept art as images, and the palette of their colours."""

from usdstylize.styles.style_set import MOST_COLORS, from_files, hex_colors, load

__all__ = ["MOST_COLORS", "from_files", "hex_colors", "load"]
