"""What a run is to do: options, presets, a stage's own settings, and whether two runs fit into one result."""
