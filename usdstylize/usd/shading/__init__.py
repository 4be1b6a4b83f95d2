"""Shading networks as USD describes them: inputs, nodes, textures, MaterialX evaluation, MDL."""
