"""Whether an answer can be believed: support, sensitivity, refutation, predictive checks."""
