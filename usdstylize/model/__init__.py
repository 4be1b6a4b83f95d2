"""Plain frozen data that passes between rooms. Nothing here reads, writes or computes an image."""
