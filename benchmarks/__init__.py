"""Times the package beside its peers: `python -m benchmarks.run`."""
