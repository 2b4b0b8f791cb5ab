"""Who takes part in a workload, and whose answers count."""

from collections.abc import Iterator
from typing import Any

from benchmarks import answers
from benchmarks.environments import peer
from benchmarks.quiet import Quiet
from benchmarks.workloads import Workload

SLOW = 4.0  # seconds; slower contestants run once, but where a claim rests on their time
CLAIMED = ("interventional", "floor", "pymc_by_hand")  # the peers that claims are about
QUIET = Quiet()

Result = dict[str, Any]


def contestants(workload: Workload, peers: list[str]) -> Iterator[tuple[str, str]]:
    """Yield who takes part: peer and contestant."""
    for name in peers:
        if workload.only and name not in (*workload.only, "before"):
            continue
        if name == "before" and not workload.before:
            continue
        for task, contestant in peer(name).TASKS:
            if task == workload.task:
                yield name, contestant


def entry(name: str, contestant: str) -> Result:
    declared = peer(name)
    return {
        "peer": name,
        "contestant": contestant,
        "title": f"{declared.TITLE}: {contestant}" if name != "floor" else contestant,
        "remark": declared.REMARKS.get(contestant, ""),
    }


def compare(results: list[Result]) -> None:
    """Say how far each answer is from ours; who should agree and does not is not timed."""
    ours = next(
        (r["answer"] for r in results if r["peer"] == "interventional" and "answer" in r), None
    )
    for result in results:
        answer = result.pop("answer", None)
        if answer is None or ours is None:
            continue
        same = not result["remark"]
        result["distance"] = round(answers.distance(answer, ours, same=same), 3)
        result["agrees"] = result["distance"] <= 1
        if same and not result["agrees"]:
            result["not_timed"] = f"another answer: {result['distance']:.1f} times what may differ"
