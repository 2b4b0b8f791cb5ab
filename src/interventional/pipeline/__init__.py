"""Questions to whole scikit-learn estimators, in terms of raw columns and outcomes."""
