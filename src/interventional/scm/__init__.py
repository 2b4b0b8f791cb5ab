"""Structural equations: as values, and as PyMC models."""
