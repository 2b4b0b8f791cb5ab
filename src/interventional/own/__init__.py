"""The user's own PyMC model: read, observed, sampled, and asked by the same calls."""
