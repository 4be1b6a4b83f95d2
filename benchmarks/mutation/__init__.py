"""Small wrong changes to the package, one at a time, and whether the tests notice. See README.md above."""
