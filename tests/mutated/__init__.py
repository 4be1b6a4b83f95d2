"""Stages with faults of every kind, made from good ones by seed, and what must hold for each.

python -m mutated SEED [COUNT]   (in tests/) runs them again, one line for each that fails
"""
