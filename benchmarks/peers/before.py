"""This package at an earlier commit: what its users waited for then, by the same tasks.

The commit is the last one at which all but Gaussian outcomes went to NUTS, rows had no closed
form, and mediators through curves were drawn.
"""

from benchmarks.peers import interventional

COMMIT = "37f2d342"
TITLE = f"interventional at {COMMIT}"
REQUIREMENTS = None
PACKAGES = interventional.PACKAGES
LARGEST: dict[str, float] = {}
REMARKS: dict[str, str] = {}
CHOSEN = ("NUTS", "Laplace", "partial_fit in blocks")  # contestants that ask for an engine
TASKS = {key: task for key, task in interventional.TASKS.items() if key[1] not in CHOSEN}
