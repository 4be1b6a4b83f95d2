"""Everything that knows USD: the only room that imports pxr."""
