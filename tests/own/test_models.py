"""Questions to models of users' own, held against NumPy and against the same models by hand."""

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from conftest import N_STANDARD_ERRORS, slow
from own.models import CASES, STORES

from interventional import BayesianInterventionRegressor
from interventional.scm.compiling import python_mode

SIZE = 500  # draws
CLOSED = [name for name, case in CASES.items() if case.closed]
OTHERS = [name for name, case in CASES.items() if not case.closed]


@pytest.fixture(scope="module")
def asked():
    """Models with draws put in by hand, each made once."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = CASES[name].asked(n=40, size=SIZE)[0]
        return CASES[name], made[name]

    return of


def new_rows(case, n=7):
    """Rows of another number than those of fit, and the same as they are once forced."""
    X, y = case.data(n, seed=3)
    return X, X.assign(**case.do), y


def values(outcomes):
    return outcomes.draws.values.reshape(-1, outcomes.draws.shape[-1])


def assert_alike(a, b):
    """Two sets of draws have the same means and the same shares below some numbers."""
    for share in (None, 0.1, 0.5, 0.9):
        if share is None:
            of_a, of_b = a, b
        else:
            at = np.quantile(b, share, axis=0)
            of_a, of_b = a <= at, b <= at
        error = np.hypot(of_a.std(axis=0) / len(a) ** 0.5, of_b.std(axis=0) / len(b) ** 0.5)
        off = np.abs(of_a.mean(axis=0) - of_b.mean(axis=0))
        assert (off <= N_STANDARD_ERRORS * error + 1e-12).all(), (share, off / error)


@pytest.mark.parametrize("name", CLOSED)
def test_what_is_expected_under_do(asked, name):
    case, model = asked(name)
    X, forced, _ = new_rows(case)
    found = values(model.intervene(X, case.do))
    np.testing.assert_allclose(
        found, case.expected(forced, case.draws(SIZE)), rtol=2e-7, atol=1e-9
    )


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_expected_where_much_is_averaged_out(asked, name):
    case, model = asked(name)
    X, forced, _ = new_rows(case)
    off = values(model.intervene(X, case.do)) - case.expected(forced, case.draws(SIZE))
    assert (np.abs(off.mean(axis=0)) < N_STANDARD_ERRORS * off.std(axis=0) / SIZE**0.5).all()


@pytest.mark.parametrize("name", CASES)
def test_new_outcomes_under_do(asked, name):
    case, model = asked(name)
    X, forced, _ = new_rows(case)
    found = values(model.intervene(X, case.do, kind="predictive"))
    assert_alike(found, case.predicted(forced, case.draws(SIZE)))


def by_hand(case, X, do, draws, names):
    """The notebook's way: rows put into the skeleton, `pm.do`, and posterior predictive draws."""
    skeleton = case.make(X) if case.make.__code__.co_argcount else case.make()
    labels = {"store": STORES, "state": sorted(X["state"].unique()) if "state" in X else ()}
    roots = case.rows(2, np.random.default_rng(0))
    put = X.assign(**do)[list(roots)]
    coords = {"obs": np.arange(len(X))}
    if "stores" in skeleton.coords:
        coords["stores"] = STORES
    data = {
        key: np.searchsorted(labels[key], put[key]) if key in labels else put[key].to_numpy(float)
        for key in put
    }
    dims = {"chain": [0], "draw": np.arange(SIZE)}
    held = {
        key: (("chain", "draw", *(f"{key}_{k}" for k in range(each.ndim - 1))), each[None])
        for key, each in draws.items()
    }
    tree = xr.DataTree.from_dict({"/posterior": xr.Dataset(held, coords=dims)})
    with skeleton:
        pm.set_data(data, coords=coords)
        found = pm.sample_posterior_predictive(
            tree,
            var_names=names,
            random_seed=4,
            progressbar=False,
            compile_kwargs={"mode": python_mode()},
        )
    return [found["posterior_predictive"][each].values[0] for each in names]


@pytest.mark.filterwarnings("ignore::pymc.exceptions.ImplicitFreezeWarning")
@pytest.mark.parametrize("name", ["michaelis", "slopes", "funnel", "mixed", "censored", "clicked"])
def test_as_by_hand_in_pymc(asked, name):
    case, model = asked(name)
    X, _, _ = new_rows(case)
    names = ["y", *(["y_mu"] if name == "michaelis" else [])]
    y, *mu = by_hand(case, X, case.do, case.draws(SIZE), names)
    assert_alike(values(model.intervene(X, case.do, kind="predictive")), y)
    for each in mu:
        np.testing.assert_allclose(values(model.intervene(X, case.do)), each, rtol=1e-12)


@pytest.mark.parametrize("name", ["chained", "steep_funnel", "tiered", "hurdle", "echoing"])
def test_noise_is_the_same_for_both_sides_of_an_effect_and_on_every_call(asked, name):
    case, model = asked(name)
    X, _, _ = new_rows(case)
    other = {key: 1.5 * value for key, value in case.do.items()}
    for kind in ("mean", "predictive"):
        one, two = (values(model.intervene(X, do, kind=kind)) for do in (case.do, other))
        again = values(model.intervene(X, case.do, kind=kind))
        np.testing.assert_array_equal(one, again)
        found = values(model.effect(X, other, baseline=case.do, kind=kind))
        np.testing.assert_allclose(found, two - one, atol=1e-12)
        if kind == "mean":
            of_two = np.std(two - two.mean(axis=0)) + np.std(one - one.mean(axis=0))
            assert np.std(found - found.mean(axis=0)) < of_two


@pytest.mark.parametrize("name", CASES)
def test_what_is_forced_to_what_it_is_stays(asked, name):
    """So `predict` expects what an intervention does that regenerates nothing."""
    case, model = asked(name)
    X, _, _ = new_rows(case)
    root = next(iter(case.do))
    mediators = set(X) - set(case.rows(2, np.random.default_rng(0)))
    if name == "echoing":
        expected = case.expected(X, case.draws(SIZE)).mean(axis=0)
        off = model.predict(X) - expected
        assert np.abs(off).max() < 0.15
        return
    do = {root: X[root], **{key: X[key] for key in mediators}}
    found = values(model.intervene(X, do)).mean(axis=0)
    np.testing.assert_allclose(model.predict(X), found, rtol=1e-12)


@pytest.mark.parametrize("name", ["michaelis", "hurdle", "grades", "mixed", "censored", "funnel"])
def test_densities(asked, name):
    """Averages over draws of densities that PyMC has of each draw, written out for some."""
    from scipy import special, stats

    case, model = asked(name)
    X, _, y = new_rows(case)
    columns = {key: X[key].to_numpy() for key in X}
    t = {key: each if each.ndim > 1 else each[:, None] for key, each in case.draws(SIZE).items()}
    target = y.to_numpy()
    if name == "michaelis":
        log = stats.norm.logpdf(target, case.mean(columns, t), t["sigma"])
    elif name == "hurdle":
        psi = special.expit(t["a0"] + t["a1"] * columns["price"])
        mu = np.exp(t["b0"] + t["b1"] * columns["price"])
        positive = np.log(psi) + stats.poisson.logpmf(target, mu) - np.log(-np.expm1(-mu))
        log = np.where(target == 0, np.log1p(-psi), positive)
    elif name == "grades":
        eta = t["slope"] * columns["dose"]
        over = [special.expit(eta - t["cuts"][:, [k]]) for k in range(3)]
        over = [np.ones_like(eta), *over, np.zeros_like(eta)]
        shares = np.array([over[k] - over[k + 1] for k in range(4)])
        log = np.log(np.take_along_axis(shares, target.astype(int)[None, None], axis=0)[0])
    elif name == "mixed":
        mu = t["levels"][:, None, :] + (t["slope"] * columns["x"])[..., None]
        each = stats.norm.pdf(target[:, None], mu, t["sigmas"][:, None, :])
        log = np.log((t["shares"][:, None, :] * each).sum(axis=-1))
    elif name == "censored":
        scale = np.exp(t["b0"] + t["b1"] * columns["load"])
        law = stats.weibull_min(t["shape"], scale=scale)
        log = np.where(target >= columns["limit"], law.logsf(target), law.logpdf(target))
    else:
        log = stats.poisson.logpmf(target, np.exp(t["k0"] + t["k1"] * columns["traffic"]))
    found = model.log_density(X, y)
    np.testing.assert_allclose(found, special.logsumexp(log, axis=0) - np.log(SIZE), rtol=1e-8)


# --- Against truth ------------------------------------------------------------------------------

LAPLACE = [
    "michaelis",
    "widening",
    *map(
        slow, ["grades", "shifted_adstock", "hurdle", "censored", "following", "funnel", "bound"]
    ),
    *map(slow, ["clicked", "chained"]),
]
NUTS = ["michaelis", "scanned_adstock", "slopes", "hurdle", "mixed"]
NUTS += ["hilbert", "echoing", "shaken", "grown", "tiered", "zero_inflated"]


def assert_finds_the_truth(name, n, **parameters):
    """Expected outcomes under `do` are within four posterior deviations of the truth's."""
    case = CASES[name]
    X, y = case.data(n, seed=5)
    model = BayesianInterventionRegressor(model=case.make, random_state=0, **parameters).fit(X, y)
    rows = X.head(60)
    truth = {key: np.asarray(value, dtype=float)[None] for key, value in case.truth.items()}
    wanted = case.expected(rows.assign(**case.do), truth)[0]
    outcomes = model.intervene(rows, case.do)
    if name in OTHERS:  # each row's has noise of its own
        found = values(outcomes).mean(axis=1)
        assert abs(found.mean() - wanted.mean()) < 4 * found.std() + 0.02 * abs(wanted.mean())
        return
    off = (outcomes.mean() - wanted) / outcomes.std()
    assert np.abs(off).max() < 4, off


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", LAPLACE)
def test_truth_is_found(name):
    assert_finds_the_truth(name, 300, inference="laplace", draws=250, chains=4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", NUTS)
def test_truth_is_found_by_nuts(name):
    n = 80 if name in ("echoing", "shaken") else 200  # their rows have parameters each
    assert_finds_the_truth(name, n, draws=300, tune=500, chains=2)
