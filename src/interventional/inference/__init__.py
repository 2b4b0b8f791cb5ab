"""From equations and what they saw of the data to posterior draws."""
