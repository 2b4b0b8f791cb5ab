"""Posterior samples of many rows, and `Outcomes`, which users hold."""
