"""A straight equation is left in peace, one that bends is told, in any units and order of rows.

How often, over many simulated data sets, is measured by `benchmarks/straightness.py`;
docs/how_to/nonlinear.md shows it.
"""

import pickle
import warnings

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer, StandardScaler

from interventional import BayesianInterventionRegressor, MisfitWarning, intervene
from interventional.data.schema import Schema
from interventional.trust.bending import Linearised, alternatives, bending

N = 400
UP = {"t": 1.0}, {"t": 0.0}


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(N, 3)), columns=["a", "b", "c"])
    return X.assign(t=(rng.random(N) < expit(X["a"])).astype(float))


@pytest.fixture(scope="module")
def straight(columns):
    rng = np.random.default_rng(1)
    return columns["a"] - columns["b"] + columns["t"] + rng.exponential(size=N)


@pytest.fixture(scope="module")
def bent(columns, straight):
    return straight + columns["t"] * columns["b"] + 0.5 * columns["c"] ** 2


def make(**parameters):
    parameters = {"draws": 20, "chains": 1, "random_state": 0, **parameters}
    return BayesianInterventionRegressor(**parameters)


def told(model, X, do=UP[0], baseline=UP[1]):
    """Return what a question warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MisfitWarning)
        model.effect(X, do, baseline)
    return [str(each.message) for each in caught if each.category is MisfitWarning]


def bends(model, forced=("t",), regenerated=()):
    return model.fitted_.straightness.told({*forced}, {*regenerated})


class TestTheTest:
    def run(self, columns, y):
        X = columns[["a", "b", "c", "t"]]
        tried, names = alternatives(Schema.of(X), X.to_numpy(), [3])
        fit = Linearised(np.asarray(y)[:, None], sm.add_constant(X.to_numpy()))
        return fit, tried, names, bending(fit, tried, 0.01)

    def test_alternatives(self, columns):
        _, tried, names, _ = self.run(columns, columns["a"])
        assert names == [("a",), ("b",), ("c",), ("t",), ("t", "a"), ("t", "b"), ("t", "c")]
        z = ((columns - columns.mean()) / columns.std(ddof=0)).clip(-2, 2)
        np.testing.assert_allclose(tried[:, 0], z["a"] ** 2)
        np.testing.assert_allclose(tried[:, 5], z["t"] * z["b"])

    def test_scores_and_share_are_those_of_regressions(self, columns, bent):
        fit, tried, _, found = self.run(columns, bent)
        residual = sm.OLS(bent.to_numpy(), fit.terms).fit().resid
        for j in (0, 1, 2, 4, 5, 6):
            b = sm.OLS(tried[:, j], fit.terms).fit().resid
            score = abs(b @ residual) / np.sqrt((b**2) @ (residual**2))
            assert found.scores[j] == pytest.approx(score)
        assert found.scores[3] == 0  # the square of 0 and 1 is the column itself
        kept = [j for j in range(7) if j != 3]
        more = sm.OLS(bent.to_numpy(), np.column_stack([fit.terms, tried[:, kept]])).fit()
        rest = (more.ssr / more.df_resid) / (residual @ residual / (N - 5))
        assert found.share == pytest.approx(1 - rest)

    def test_p_values_are_uniform_where_noise_is_wider_at_the_ends(self):
        rng = np.random.default_rng(3)
        X = pd.DataFrame(rng.normal(size=(150, 3)), columns=["a", "b", "t"])
        schema, terms = Schema.of(X), sm.add_constant(X.to_numpy())
        tried, _ = alternatives(schema, X.to_numpy(), [2])
        low = []
        for _ in range(400):
            y = (0.2 + X["a"] ** 2) * rng.standard_t(4, size=150)
            low.append(bending(Linearised(y.to_numpy()[:, None], terms), tried, 0.01).p_value)
        for level in (0.05, 0.2, 0.5):
            error = np.sqrt(level * (1 - level) / 400)
            assert abs(np.mean(np.array(low) <= level) - level) < 4 * error

    def test_nothing_is_told_of_few_rows(self, columns, bent):
        X = columns[:24]
        tried, _ = alternatives(Schema.of(X), X.to_numpy(), [3])
        fit = Linearised(bent.to_numpy()[:24, None], sm.add_constant(X.to_numpy()))
        assert bending(fit, tried, 0.01) is None

    def test_nothing_is_told_of_a_perfect_fit(self, columns):
        assert self.run(columns, columns["a"])[-1] is None


class TestWarnings:
    def test_none_where_lines_are_straight(self, columns, straight):
        assert told(make().fit(columns, straight), columns) == []

    def test_names_what_bends_and_what_mends_it(self, columns, bent):
        model = make(outcome="gain").fit(columns, bent)
        with pytest.warns(MisfitWarning) as caught:
            effect = model.effect(columns, *UP)
        (only,) = caught
        assert only.filename == __file__
        said = str(only.message)
        assert said.startswith("E[gain | do(t = 1.0)] - E[gain | do(t = 0.0)]: the equation of")
        assert "the equation of 'gain' is linear in its terms, and the data are not" in said
        assert "products of columns, the square of 'c', 't' times 'b' above all, explain" in said
        assert said.endswith('Fit with design="smooth".')
        assert np.isfinite(effect.average().mean()).all()

    def test_share_is_that_of_what_the_line_leaves(self, columns, bent, straight):
        (bend,) = bends(make().fit(columns, bent))
        share = 1 - np.var(straight - columns["a"] + columns["b"] - columns["t"]) / np.var(
            sm.OLS(bent, sm.add_constant(columns)).fit().resid
        )
        assert bend.share == pytest.approx(share, abs=0.1)

    def test_none_where_a_design_bends_likewise(self, columns, bent):
        terms = PolynomialFeatures(2, include_bias=False)
        assert told(make(design=terms).fit(columns, bent), columns) == []

    def test_what_a_design_leaves_out_is_told(self, columns, bent):
        model = make(design=SplineTransformer(n_knots=4, include_bias=False)).fit(columns, bent)
        (bend,) = bends(model)
        assert bend.parts[0] == ("t", "b")
        assert ("c",) not in bend.parts

    def test_none_where_nothing_is_forced_to_something_new(self, columns, bent):
        model = make().fit(columns, bent)
        assert told(model, columns, {"t": lambda X: X["t"]}, None) == []

    def test_whole_pipelines(self, columns, bent):
        model = make_pipeline(StandardScaler().set_output(transform="pandas"), make())
        with pytest.warns(MisfitWarning, match="'t' times 'b'"):
            intervene(model.fit(columns, bent), columns, {"t": 1.0})

    def test_other_questions(self, columns, bent):
        model = make().fit(columns, bent)
        for ask in (
            lambda: model.intervene(columns, UP[0]),
            lambda: model.counterfactual(columns, bent, UP[0]),
        ):
            with pytest.warns(MisfitWarning, match="'t' times 'b'"):
                ask()


class TestSameWhateverTheForm:
    @pytest.fixture
    def bend(self, columns, bent):
        return bends(make().fit(columns, bent))[0]

    def same(self, found, bend):
        assert found.parts == bend.parts
        assert found.p_value == bend.p_value
        assert found.share == pytest.approx(bend.share)

    def test_order_of_rows_and_columns(self, columns, bent, bend):
        order = np.random.default_rng(5).permutation(N)
        X = columns.iloc[order][["t", "c", "b", "a"]]
        found = bends(make().fit(X, bent.iloc[order]))[0]
        assert {frozenset(part) for part in found.parts} == set(map(frozenset, bend.parts))
        assert found.p_value == bend.p_value

    def test_units(self, columns, bent, bend):
        X = columns.assign(b=1e6 + 1e3 * columns["b"], c=-columns["c"] / 7)
        self.same(bends(make().fit(X, 5 - 3 * bent))[0], bend)

    def test_pickle(self, columns, bent, bend):
        model = pickle.loads(pickle.dumps(make().fit(columns, bent)))
        self.same(bends(model)[0], bend)

    def test_batches(self, columns, bent, bend):
        model = make()
        for rows in np.array_split(np.arange(N), 3):
            model.partial_fit(columns.iloc[rows], bent.iloc[rows])
        self.same(bends(model)[0], bend)

    def test_dask(self, columns, bent, bend):
        X = dd.from_pandas(columns, npartitions=3)
        model = make().fit(X, dd.from_pandas(bent, npartitions=3))
        self.same(bends(model)[0], bend)
        with pytest.warns(MisfitWarning, match="'t' times 'b'"):
            model.effect(X, *UP)

    def test_weights_are_rows(self, columns, bent):
        weights = np.random.default_rng(6).integers(0, 4, N)
        rows = np.repeat(np.arange(N), weights)
        (found,) = bends(make().fit(columns, bent, sample_weight=weights))
        (bend,) = bends(make().fit(columns.iloc[rows], bent.iloc[rows]))
        self.same(found, bend)

    def test_a_pickle_does_not_grow_with_the_rows(self):
        rng = np.random.default_rng(7)
        sizes = []
        for n in (5000, 20_000):
            x = rng.normal(size=(n, 2))
            sizes.append(len(pickle.dumps(make().fit(x, x[:, 0] + rng.normal(size=n)))))
        assert sizes[1] < 1.01 * sizes[0]


class TestGraphs:
    def test_each_equation_is_named(self):
        rng = np.random.default_rng(8)
        a, b = rng.normal(size=(2, N))
        m = a + b + a * b + rng.normal(size=N)
        k = m + rng.normal(size=N)
        X = pd.DataFrame({"a": a, "b": b, "m": m, "k": k})
        y = k + 0.5 * k**2 + rng.normal(size=N)
        model = make(graph="a -> m; b -> m; m -> k; k -> y").fit(X, y)
        (said,) = told(model, X, {"a": 1.0}, {"a": 0.0})
        assert "the equation of 'm'" in said
        assert "'a' times 'b'" in said
        assert "the equation of 'y'" in said
        assert "'k'" not in said.partition("the equation of 'y'")[0]
        assert '{"m": "smooth"}' in said
        (said,) = told(model, X, {"k": 1.0}, {"k": 0.0})  # whose own equation is cut
        assert "the equation of 'm'" not in said

    def test_two_causes_that_act_together(self):
        rng = np.random.default_rng(9)
        a, b = rng.random((2, 1500)) < 0.5
        t = rng.random(1500) < np.where(a & b, 0.8, 0.2)
        X = pd.DataFrame({"a": a, "b": b, "t": t})
        y = t + rng.normal(size=1500)
        model = make(graph="a -> t; b -> t; t -> y", inference="laplace").fit(X, y)
        (said,) = told(model, X, {"a": True}, {"a": False})
        assert "the equation of 't'" in said
        assert "'a' times 'b'" in said
        assert '{"t": "smooth"}' in said

    def test_levels(self):
        rng = np.random.default_rng(10)
        a, b = rng.normal(size=(2, 1500))
        eta = np.column_stack([np.zeros(1500), a, b + a * b])
        level = (eta + rng.gumbel(size=eta.shape)).argmax(axis=1)
        X = pd.DataFrame({"a": a, "b": b, "v": np.array(list("pqr"))[level]})
        y = 1.0 * (X["v"] == "r") + rng.normal(size=1500)
        graph = "a -> v; b -> v; v -> y"
        (said,) = told(make(graph=graph, inference="laplace").fit(X, y), X, {"a": 1.0}, None)
        assert "the equation of 'v'" in said
        straight = (eta[:, :2] + rng.gumbel(size=(1500, 2))).argmax(axis=1)
        X = X.assign(v=np.array(list("pq"))[straight])
        model = make(graph=graph, inference="laplace").fit(X, rng.normal(size=1500))
        assert told(model, X, {"a": 1.0}, None) == []

    def test_measured_once_a_group(self):
        rng = np.random.default_rng(11)
        unit = np.repeat(np.arange(60), 20)
        a, b = rng.normal(size=(2, 60))
        m = a + b + rng.standard_t(3, size=60)
        X = pd.DataFrame({"a": a[unit], "b": b[unit], "m": m[unit], "unit": unit.astype(str)})
        y = X["m"] + rng.normal(size=60)[unit] + rng.normal(size=len(unit))
        graph = "a -> m; b -> m; m -> y; unit -> y"
        model = make(graph=graph, groups={"y": {"unit": []}}).fit(X, y)
        assert told(model, X, {"a": 1.0}, {"a": 0.0}) == []


class TestFamilies:
    @pytest.fixture
    def eta(self, columns):
        return 0.5 * columns["a"] - 0.5 * columns["b"] + 0.5 * columns["t"]

    def outcome(self, family, eta):
        rng = np.random.default_rng(12)
        draw = {
            "bernoulli": lambda: (rng.random(len(eta)) < expit(eta)).astype(float),
            "poisson": lambda: rng.poisson(np.exp(eta)).astype(float),
            "gamma": lambda: rng.gamma(2.0, np.exp(eta) / 2),
            "lognormal": lambda: np.exp(eta + rng.normal(size=len(eta))),
            "student_t": lambda: eta + rng.standard_t(3, size=len(eta)),
        }
        return draw[family]()

    @pytest.mark.parametrize("family", ["bernoulli", "poisson", "gamma", "lognormal", "student_t"])
    def test_told_where_it_bends_alone(self, columns, eta, family):
        how = {} if family == "lognormal" else {"inference": "laplace"}
        X, eta = pd.concat([columns] * 3), pd.concat([eta] * 3)
        model = make(family=family, **how).fit(X, self.outcome(family, eta))
        assert told(model, X) == []
        more = 2.0 * (X["t"] - 0.5) * X["c"]
        model = make(family=family, **how).fit(X, self.outcome(family, eta + more))
        (said,) = told(model, X)
        assert "'t' times 'c'" in said
        smooth = family in ("lognormal", "bernoulli", "poisson")
        assert ('design="smooth"' in said) == smooth
        assert ("a design that bends" in said) != smooth

    def test_a_prior_that_holds_back_is_no_bend(self, columns):
        from pymc_extras.prior import Prior

        prior = {"beta": Prior("Normal", mu=0, sigma=0.1)}
        y = self.outcome("bernoulli", 2 * columns["a"] - 2 * columns["b"] + 2 * columns["t"])
        model = make(family="bernoulli", inference="laplace", priors=prior).fit(columns, y)
        assert told(model, columns) == []

    def test_exposure(self, columns):
        rng = np.random.default_rng(13)
        X = columns.assign(days=rng.integers(1, 60, N).astype(float))
        y = rng.poisson(X["days"] * np.exp(0.3 * X["a"] + 0.2 * X["t"])).astype(float)
        model = make(family="poisson", exposure="days", inference="laplace").fit(X, y)
        assert told(model, X) == []


class TestGroups:
    @pytest.mark.parametrize(("size", "slopes"), [(4, []), (40, ["t"])])
    def test_groups_are_no_bend(self, size, slopes):
        rng = np.random.default_rng(14)
        unit = np.arange(800) // size
        own = rng.exponential(size=unit.max() + 1)
        X = pd.DataFrame({"x": rng.normal(size=800) + own[unit], "t": rng.normal(size=800)})
        X["unit"] = unit.astype(str)
        effect = 1 + own[unit] * len(slopes)
        y = X["x"] + effect * X["t"] + 5 * own[unit] ** 2 + rng.normal(size=800)
        how = {"groups": {"unit": slopes}, "within": True}
        assert told(make(**how).fit(X, y), X) == []
        (said,) = told(make(**how).fit(X, y + X["t"] * X["x"]), X)
        assert "'t' times 'x'" in said


class TestRefute:
    def test_a_check(self, columns, bent, straight):
        for y, passes in ((straight, True), (bent, False)):
            found = make().refute(columns, y, *UP, n_repeats=2).loc["straight lines"]
            assert found["passed"] == passes
            assert found["verdict"].startswith("Passed: " if passes else "Failed: ")
            (bend,) = make().fit(columns, y).fitted_.tests or [None]
            assert bend is None  # nothing is tested before anything is asked
        assert 'design="smooth"' in found["verdict"]
        assert found["estimate"] > 0.2

    def test_not_applicable(self, columns, straight):
        X, y = columns[:20], straight[:20]
        found = make().refute(X, y, *UP, n_repeats=2).loc["straight lines"]
        assert pd.isna(found["passed"])
        assert found["verdict"].startswith("Not applicable: ")
