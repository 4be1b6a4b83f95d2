"""Tests that need a Python of their own; conftest.py says which."""
