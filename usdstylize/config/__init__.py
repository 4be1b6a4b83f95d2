"""What a run is asked to do: options, presets, a stage's own settings, what may be resumed with what."""
