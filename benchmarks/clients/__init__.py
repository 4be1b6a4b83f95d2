"""What other clients than Storm show of a written result."""
