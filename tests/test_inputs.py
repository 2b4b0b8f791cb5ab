"""Every odd input gets the right answer, or an error that names the culprit.

The cases are in `inputs_*.py`; `make_inputs_table.py` counts them for the docs.
"""

import traceback
from contextlib import nullcontext

import numpy as np
import pytest
from inputs_common import Bench, state
from inputs_questions import CASES as QUESTIONS
from inputs_training import CASES as TRAINING
from make_inputs_table import BETWEEN, PAGE, table

CASES = [*TRAINING, *QUESTIONS]
FOREIGN = ("pymc", "pymc_extras", "pytensor", "nutpie", "xarray")


@pytest.fixture(scope="module")
def benches():
    return Bench(), Bench(fitted=True)


def numbers(result):
    return np.asarray(result, dtype=np.float64)


def packages(error):
    """The packages in which a traceback has frames."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    return {part for file in files for part in file.split("site-packages/")[-1].split("/")[:1]}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_input(case, benches):
    for bench in benches if case.error else benches[:1]:
        before = [state(model) for model in bench.models()]
        if case.error is None:
            answered(case, bench)
        else:
            refused(case, bench)
        # what the case itself has fitted comes after
        assert [state(model) for model in bench.models()][: len(before)] == before


def answered(case, bench):
    with pytest.warns(match=case.warns) if case.warns else nullcontext():
        found = [numbers(call(bench)) for call in case.calls]
    assert all(np.isfinite(each).all() for each in found)
    expected = numbers(case.same(bench))
    assert found[0].shape == expected.shape
    np.testing.assert_allclose(found[0], expected, rtol=1e-7, atol=1e-9)


def refused(case, bench):
    for call in case.calls:
        with pytest.raises(case.error, match=case.message) as raised:
            call(bench)
        assert len(str(raised.value)) < 1500
        assert not packages(raised.value).intersection(FOREIGN), packages(raised.value)


def test_the_page_counts_what_is_tested():
    """Hundreds of cases, each once; the table in the docs is the one of these cases."""
    names = [str(case) for case in CASES]
    assert len(set(names)) == len(names) > 500
    assert BETWEEN.search(PAGE.read_text(encoding="utf-8"))[0] == table(CASES)
