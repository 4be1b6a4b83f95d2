"""Whether a whole scene is of one hand: pattern size, detail and drawing, measured on written results."""
