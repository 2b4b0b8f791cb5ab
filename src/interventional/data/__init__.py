"""A user's table as numbers: what its columns are, and what a likelihood sees of its rows."""
