"""Images as NumPy arrays: sRGB, sampling, the UV rasteriser, gutters."""
