"""Writes the table of docs/how_it_works/inputs.md: how many odd inputs of each kind there are.

The cases are those of `test_inputs.py`, which holds the page to them. To write the table anew:

    PYTHONPATH=src:tests python tests/make_inputs_table.py
"""

import re
from collections import Counter
from pathlib import Path

from inputs_questions import CASES as QUESTIONS
from inputs_training import CASES as TRAINING

PAGE = Path(__file__).parents[1] / "docs" / "how_it_works" / "inputs.md"
BETWEEN = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- end of table -->)", re.DOTALL)


def table(cases) -> str:
    """Return a Markdown table: how many inputs of each place, what came, and calls in all."""
    answered, refused, calls = Counter(), Counter(), Counter()
    for case in cases:
        (refused if case.error else answered)[case.where] += 1
        calls[case.where] += len(case.calls)
    places = [*calls, "all"]
    for counter in (answered, refused, calls):
        counter["all"] = counter.total()
    lines = [
        "| odd input of | inputs | right answer | clear error | calls |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for place in places:
        row = (answered[place] + refused[place], answered[place], refused[place], calls[place])
        lines.append(f"| {place} | {' | '.join(f'{number:,}' for number in row)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BETWEEN.sub(table([*TRAINING, *QUESTIONS]), text), encoding="utf-8")
