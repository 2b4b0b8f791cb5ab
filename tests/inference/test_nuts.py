"""NUTS against the exact engine, and against PyMC models written out by hand."""

import re
import threading
import warnings

import arviz as az
import joblib
import numpy as np
import pandas as pd
import pytest
from conftest import N_STANDARD_ERRORS, slow
from pymc_extras.prior import Prior
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from interventional import BayesianInterventionRegressor
from interventional.inference import nuts

QUANTILES = (0.05, 0.95)


def rows(seed, n, p):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, X @ rng.normal(size=p) + 0.5 + rng.normal(size=n)


def badly_scaled():
    """Columns whose means are a million standard deviations, and y in units of 1e5."""
    X, y = rows(2, 60, 3)
    return X * [1.0, 1e-3, 1e4] + [1e6, 1e3, -1e10], 1e5 * y


def duplicates():
    """Two equal columns and a constant one."""
    X, y = rows(3, 40, 1)
    return np.column_stack([X, X, np.full(40, 3.0)]), y


def at_the_means(model, X):
    """Chains of every parameter by name, the intercept at the means of the columns.

    Where columns are a million standard deviations from 0, that is the one of which both engines
    have digits; the intercept at 0 is a sum of coefficients times a million.
    """
    posterior = model.idata_["posterior"].dataset
    found = {"sigma": posterior["y_sigma"].values}
    for j in range(X.shape[1]):
        found[f"beta {j}"] = posterior["y_beta"].values[..., j]
    if "y_intercept" in posterior:
        at_zero = posterior["y_intercept"].values
        found["intercept"] = at_zero + posterior["y_beta"].values @ X.mean(axis=0)
        found["intercept at 0"] = at_zero
    return found


def independent_summary(chains, at):
    """Mean, deviation and shares below some values of independent draws, and their errors."""
    draws = chains.ravel()
    n, mean, sd = len(draws), draws.mean(), draws.std(ddof=1)
    fourth = np.mean((draws - mean) ** 4)
    summary = {"mean": (mean, sd / np.sqrt(n))}
    summary["sd"] = (sd, np.sqrt((fourth - sd**4) / n) / (2 * sd))
    for q, value in zip(QUANTILES, at, strict=True):
        share = np.mean(draws < value)
        summary[f"{q:.0%}"] = (share, np.sqrt(share * (1 - share) / n))
    return summary


def chain_summary(chains, at):
    """The same of Markov chains, whose standard errors rest on effective sample sizes (ArviZ)."""
    from arviz_stats.base import array_stats

    summary = {
        "mean": (chains.mean(), float(array_stats.mcse(chains, method="mean"))),
        "sd": (chains.std(ddof=1), float(array_stats.mcse(chains, method="sd"))),
    }
    for q, value in zip(QUANTILES, at, strict=True):
        below = (chains < value).astype(float)
        summary[f"{q:.0%}"] = (below.mean(), float(array_stats.mcse(below, method="mean")))
    return summary


def assert_same_posterior(ours, theirs, summarise=independent_summary):
    """Means, deviations and shares below quantiles are the same within Monte Carlo errors.

    `ours` are Markov chains by name; `theirs` are summarised by `summarise`, and say where their
    quantiles are: the error of a share is known far better than that of a quantile.
    """
    assert ours.keys() == theirs.keys()
    for name in ours:
        at = np.quantile(theirs[name], QUANTILES)
        a, b = chain_summary(ours[name], at), summarise(theirs[name], at)
        spreads = dict.fromkeys(("mean", "sd"), b["sd"][0])
        spreads |= {f"{q:.0%}": np.sqrt(q * (1 - q)) for q in QUANTILES}
        for what, spread in spreads.items():
            error = np.hypot(a[what][1], b[what][1])
            z = (a[what][0] - b[what][0]) / error
            assert abs(z) < N_STANDARD_ERRORS, (name, what, z)
            # an error that is a large part of the spread would hide any difference
            assert error < 0.1 * spread, (name, what)


RAW = Prior("Normal", mu=0, sigma=1)
CASES = {
    "ordinary": (lambda: rows(0, 80, 3), {}),
    "badly scaled": (badly_scaled, {}),
    "duplicate and constant columns": (
        duplicates,
        {"priors": {"beta": RAW, "intercept": Prior("Normal", mu=1, sigma=2)}},
    ),
    "badly scaled, prior at zero, HalfCauchy": (
        badly_scaled,
        {"priors": {"sigma": Prior("HalfCauchy", beta=1e5)}, "center_predictors": False},
    ),
    # a prior of sigma that keeps NUTS from the funnel at 0, where a fit of n < p is perfect
    "n < p, InverseGamma": (
        lambda: rows(4, 5, 8),
        {"priors": {"beta": RAW, "sigma": Prior("InverseGamma", alpha=10, beta=9)}},
    ),
    "no intercept, Exponential": (
        lambda: rows(5, 30, 3),
        {
            "priors": {"beta": RAW, "sigma": Prior("Exponential", lam=1)},
            "fit_intercept": False,
        },
    ),
    "flat coefficients, HalfNormal": (
        lambda: rows(6, 20, 3),
        {
            "priors": {
                "beta": Prior("Flat"),
                "intercept": Prior("Flat"),
                "sigma": Prior("HalfNormal", sigma=2),
            }
        },
    ),
}


ONE_STRUCTURE = ("ordinary", "badly scaled", "duplicate and constant columns")


@pytest.mark.parametrize(
    "case",
    [name if name in ONE_STRUCTURE else slow(name) for name in CASES],
)
def test_exact_and_nuts_agree(case):
    """All parameters, on the same data and priors."""
    make, settings = CASES[case]
    X, y = make()
    model = BayesianInterventionRegressor(inference="nuts", draws=1500, random_state=0, **settings)
    model.fit(X, y)
    assert model.idata_["posterior"].attrs["inference"] == "nuts"
    exact = BayesianInterventionRegressor(
        inference="exact", draws=20_000, random_state=1, **settings
    ).fit(X, y)
    assert exact.idata_["posterior"].attrs["inference"] == "exact"
    assert_same_posterior(at_the_means(model, X), at_the_means(exact, X))


@pytest.mark.slow
def test_hierarchical_prior_is_the_model_written_by_hand():
    """beta_j ~ N(0, tau), tau ~ HalfNormal(1): PyMC on the rows themselves."""
    import nutpie
    import pymc as pm

    X, y = rows(7, 40, 6)
    y += X @ [2.0, -1.5, 1.0, -1.0, 1.5, 2.0]  # far from the funnel at tau = 0
    priors = {"beta": Prior("Normal", mu=0, sigma=Prior("HalfNormal", sigma=1))}
    model = BayesianInterventionRegressor(
        priors=priors, inference="nuts", draws=1500, random_state=0
    ).fit(X, y)
    ours = at_the_means(model, X) | {"tau": model.idata_["posterior"]["y_beta_sigma"].values}
    with pm.Model() as by_hand:
        tau = pm.HalfNormal("tau", 1)
        beta = pm.Normal("beta", 0, tau, shape=6)
        intercept = pm.Normal("intercept", y.mean(), 2.5 * y.std())
        sigma = pm.HalfStudentT("sigma", nu=4, sigma=y.std())
        pm.Normal("y", intercept + (X - X.mean(axis=0)) @ beta, sigma, observed=y)
    trace = nutpie.sample(
        nutpie.compile_pymc_model(by_hand), draws=1500, chains=4, seed=1, progress_bar=False
    )["posterior"].dataset
    theirs = {name: trace[name].values for name in ("sigma", "intercept", "tau")}
    theirs |= {f"beta {j}": trace["beta"].values[..., j] for j in range(6)}
    theirs["intercept at 0"] = trace["intercept"].values - trace["beta"].values @ X.mean(axis=0)
    assert_same_posterior(ours, theirs, chain_summary)


class TestDefaultStructure:
    """Behaviour of fits that share one compiled model: three terms, default priors."""

    @staticmethod
    def fitted(X, y, sample_weight=None, **settings):
        settings = {"inference": "nuts", "draws": 300, "tune": 300, "random_state": 3} | settings
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # short chains
            model = BayesianInterventionRegressor(**settings)
            return model.fit(X, y, sample_weight=sample_weight)

    @staticmethod
    def draws(model):
        posterior = model.idata_["posterior"].dataset
        return np.concatenate([posterior[name].values.ravel() for name in sorted(posterior)])

    def test_second_fit_compiles_nothing(self, monkeypatch):
        """New rows, units and numbers in the priors are new data for the same compiled model."""
        import nutpie

        X, y = rows(8, 50, 3)
        self.fitted(X, y)

        def refuse(*args, **kwargs):
            raise AssertionError("compiled again")

        monkeypatch.setattr(nutpie, "compile_pymc_model", refuse)
        model = self.fitted(X[:30], 10 * y[:30], priors={"x1": Prior("Normal", mu=20, sigma=0.01)})
        assert abs(model.coef_[1] - 20) < 0.1  # the new prior and data were what it sampled
        ols = np.linalg.lstsq(
            np.column_stack([X[:30, [0, 2]], np.ones(30)]), 10 * y[:30] - 20 * X[:30, 1]
        )[0]
        spread = model.idata_["posterior"]["y_beta"].std(("chain", "draw")).values
        assert np.all(np.abs(model.coef_[[0, 2]] - ols[:2]) < spread[[0, 2]])
        with pytest.raises(AssertionError, match="compiled again"):
            self.fitted(X, y, priors={"x1": Prior("Laplace", mu=0, b=1)})

    def test_numbers_depend_on_seed_alone(self):
        """Not on how many chains run side by side."""
        X, y = rows(9, 50, 3)
        once = self.draws(self.fitted(X, y, n_jobs=1))
        np.testing.assert_array_equal(self.draws(self.fitted(X, y, n_jobs=1)), once)
        np.testing.assert_array_equal(self.draws(self.fitted(X, y, n_jobs=2)), once)
        assert not np.isclose(self.draws(self.fitted(X, y, random_state=4)), once).all()

    @pytest.mark.slow
    def test_equations_run_side_by_side_where_there_is_room(self, monkeypatch):
        """Two equations of one chain each under n_jobs=2: at the same time, the same numbers."""
        import nutpie

        X, y = rows(17, 50, 3)
        X = pd.DataFrame(X, columns=["a", "b", "c"])
        settings = {"graph": "a -> b; a -> y; b -> y; c -> y", "chains": 1}
        alone = self.draws(self.fitted(X, y, n_jobs=1, **settings))
        both_are_here, sample = threading.Barrier(2, timeout=600), nutpie.sample

        def together(*args, **kwargs):
            both_are_here.wait()
            return sample(*args, **kwargs)

        monkeypatch.setattr(nutpie, "sample", together)
        np.testing.assert_array_equal(self.draws(self.fitted(X, y, n_jobs=2, **settings)), alone)

    def test_grid_search_does_not_oversubscribe(self, monkeypatch):
        """Two fits side by side, one chain at a time in each, unless the user asks for more."""
        import nutpie

        lock, running, peaks = threading.Lock(), [], []
        sample = nutpie.sample

        def counted(*args, cores, **kwargs):
            with lock:
                running.append(cores)
                peaks.append(sum(running))
            try:
                return sample(*args, cores=cores, **kwargs)
            finally:
                with lock:
                    running.remove(cores)

        X, y = rows(18, 60, 3)
        self.fitted(X, y)
        monkeypatch.setattr(nutpie, "sample", counted)
        model = BayesianInterventionRegressor(inference="nuts", random_state=0)
        with joblib.parallel_config("threading"):
            GridSearchCV(model, {"tune": [500, 600]}, cv=3, n_jobs=2).fit(X, y)
        assert len(peaks) == 7
        assert max(peaks) <= 2

    def test_chains_differ(self):
        X, y = rows(9, 50, 3)
        chains = self.fitted(X, y).idata_["posterior"]["y_sigma"].values
        assert len({chain.tobytes() for chain in chains}) == 4

    def test_order_and_copies_of_rows(self):
        """The same numbers, to the last bit, for rows in any order, and for copies as weights."""
        X, y = rows(10, 30, 3)
        weights = np.random.default_rng(0).integers(0, 4, size=30)
        weighted = self.draws(self.fitted(X, y, weights))
        again = np.random.default_rng(1).permutation(np.repeat(np.arange(30), weights))
        np.testing.assert_array_equal(self.draws(self.fitted(X[again], y[again])), weighted)

    def test_weights_are_copies_for_the_exact_engine_too(self):
        """What NUTS sees of weighted rows is what exact inference makes of their copies."""
        X, y = rows(11, 25, 3)
        weights = np.random.default_rng(0).integers(1, 4, size=25)
        model = self.fitted(X, y, weights, draws=1500, tune=1000)
        X, y = np.repeat(X, weights, axis=0), np.repeat(y, weights)
        exact = BayesianInterventionRegressor(draws=20_000, random_state=1).fit(X, y)
        assert_same_posterior(at_the_means(model, X), at_the_means(exact, X))

    def test_quiet(self, capfd):
        X, y = rows(12, 50, 3)
        self.fitted(X, y, verbose=False)
        assert capfd.readouterr() == ("", "")

    def test_warns_with_numbers_if_it_has_not_converged(self):
        """Ten draws without warm-up; the numbers are ArviZ's."""
        X, y = rows(13, 50, 3)
        X -= X.mean(axis=0)  # so that the intercept is the one that was sampled
        model = BayesianInterventionRegressor(inference="nuts", draws=10, tune=0, random_state=0)
        message = r"R-hat up to (\d+\.\d+|inf|nan).*bulk effective.*tail effective.*Raise tune"
        with pytest.warns(ConvergenceWarning, match=message) as caught:
            model.fit(X, y)
        assert len(caught) == 1
        posterior = model.idata_["posterior"].dataset
        with np.errstate(all="ignore"):  # chains that do not move have no variance to divide by
            worst = max(float(values.max()) for values in az.rhat(posterior).values())
            effective = min(float(values.min()) for values in az.ess(posterior).values())
        said = str(caught[0].message)
        assert f"R-hat up to {worst:.3f} " in said
        assert f"bulk effective sample size down to {effective:.0f} " in said

    @pytest.mark.slow
    def test_two_equations_are_one_warning(self):
        """Both are named, and their worst parameters by the names of their terms."""
        X, y = rows(17, 50, 3)
        X = pd.DataFrame(X, columns=["a", "b", "c"])
        model = BayesianInterventionRegressor(
            graph="a -> b; a -> y; b -> y; c -> y",
            inference="nuts",
            draws=10,
            tune=0,
            random_state=0,
        )
        with pytest.warns(ConvergenceWarning) as caught:
            model.fit(X, y)
        (said,) = [str(each.message) for each in caught]
        assert re.search(r"equation of 'b': R-hat up to .*; equation of 'y': R-hat up to", said)
        assert re.search(r"for [by]_(intercept|sigma|beta\['[abc]'\]) \(should", said)
        for what in ("bulk", "tail"):
            assert len(re.findall(rf"{what} effective sample size down to \d+ for", said)) == 2
        assert said.count("Raise tune and draws") == 1
        assert {"energy", "b_energy"} <= set(model.idata_["sample_stats"].data_vars)

    def test_a_funnel_is_warned_of(self):
        """Five rows that four coefficients fit to eight digits: sigma falls into a funnel at 0."""
        X, _ = rows(19, 5, 3)
        y = X @ [1.0, 2.0, 3.0] + 1e-8 * np.random.default_rng(0).normal(size=5)
        model = BayesianInterventionRegressor(
            inference="nuts", draws=500, tune=200, chains=12, random_state=0
        )
        with pytest.warns(ConvergenceWarning, match="more informative priors") as caught:
            model.fit(X, y)
        (said,) = [str(each.message) for each in caught]
        diverging = model.idata_["sample_stats"]["diverging"]
        assert f"{int(diverging.sum())} divergent transitions" in said
        fractions = az.bfmi(model.idata_)["energy"].values
        assert fractions.min() < 0.3
        assert f"E-BFMI down to {fractions.min():.2f} (" in said
        assert "for y_sigma (should be" in said

    def test_tree(self):
        """Dims, coordinates, engine and sampler statistics, as ArviZ takes them."""
        X, y = rows(14, 30, 3)
        model = self.fitted(pd.DataFrame(X, columns=["a", "b", "c"]), y, chains=2, draws=50)
        posterior, stats = model.idata_["posterior"], model.idata_["sample_stats"]
        assert dict(posterior.sizes) == {"chain": 2, "draw": 50, "y_term": 3}
        assert posterior["y_term"].values.tolist() == ["a", "b", "c"]
        assert posterior.attrs["inference"] == "nuts"
        assert posterior.attrs["inference_library"] == "nutpie"
        assert {"diverging", "energy"} <= set(stats.data_vars)
        assert dict(stats.sizes) == {"chain": 2, "draw": 50}

    def test_without_nutpie(self, monkeypatch):
        """PyMC's own sampler takes over, and finds the same posterior."""
        X, y = rows(15, 50, 3)
        monkeypatch.setattr(nuts, "find_spec", lambda name: None)
        model = self.fitted(X, y, draws=1500, tune=500, chains=2)
        assert model.idata_["posterior"].attrs["inference_library"] == "pymc"
        exact = BayesianInterventionRegressor(draws=20_000, random_state=1).fit(X, y)
        assert_same_posterior(at_the_means(model, X), at_the_means(exact, X))


REFUSED = {
    "Flat, n < p": (4, {"beta": Prior("Flat")}, "'x2'.*Flat"),
    "constant column": (
        30,
        {"x2": Prior("Flat"), "beta": Prior("Laplace", mu=0, b=1)},
        "'x2'.*Flat",
    ),
    "constant y": (
        0,
        {
            "beta": Prior("Laplace", mu=0, b=1),
            "intercept": Prior("StudentT", nu=3, mu=0, sigma=1),
            "sigma": Prior("HalfNormal", sigma=1),
        },
        "y is constant.*sigma go to 0",
    ),
    "flat sigma": (
        5,
        {"beta": Prior("Flat"), "intercept": Prior("Flat"), "sigma": Prior("HalfFlat")},
        "too flat for so few rows",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_improper_posterior_is_refused_before_sampling(name):
    """A sampler cannot tell: it would wander about, and return something."""
    n, priors, message = REFUSED[name]
    X, y = rows(16, n or 30, 3 if n != 4 else 6)
    if n == 30:
        X[:, 2] = 1.0
    if n == 0:
        y[:] = 2.0
    model = BayesianInterventionRegressor(inference="nuts", priors=priors, draws=10)
    before = vars(model).copy()
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        model.fit(X, y)
    assert vars(model) == before
