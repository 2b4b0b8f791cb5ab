"""Equations with several learned scales, end to end, against truths from elsewhere.

Their density is that of the textbook PyMC model, and of a dense Normal written here; what is drawn
is what REML, a published analysis, closed forms on grids, and NUTS say.
"""

from itertools import chain

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from conftest import N_STANDARD_ERRORS, slow
from pymc_extras.prior import Prior
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import PolynomialFeatures

from interventional import BayesianInterventionRegressor
from interventional.data.schema import Schema
from interventional.inference.components import Marginal
from interventional.inference.varying import Problem
from interventional.scm.compiling import python_mode
from interventional.scm.draft import draft
from interventional.scm.specification import specify


def posterior(model, name):
    """Draws of a variable, (draws, ...)."""
    values = model.idata_["posterior"][name].values
    return values.reshape(-1, *values.shape[2:])


def statistic(model, name):
    return float(model.idata_["sample_stats"][name].values.ravel()[0])


def hot(codes):
    """One column a level."""
    return (np.asarray(codes)[:, None] == np.unique(codes)).astype(float)


# --- The density --------------------------------------------------------------------------------


def plain_rows(seed=0, n=48):
    """Numbers a and b, levels c and d, groups g and h: unbalanced, and not in order."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"a": rng.normal(3, 2, n), "b": rng.normal(size=n)})
    X["c"], X["d"] = rng.choice(list("pqrs"), n), rng.choice(list("uvw"), n)
    X["g"], X["h"] = rng.choice(list("ABCDEF"), n), rng.choice(list("KLMN"), n)
    effect = dict(zip("ABCDEF", rng.normal(size=6), strict=True))
    y = 2 + 0.5 * X["a"] + X["g"].map(effect) + (X["h"] > "L") + rng.normal(size=n)
    return X, y.to_numpy()


HALF = {k: Prior("HalfNormal", sigma=k) for k in (0.5, 1.0)}
RIDGES = {
    "c": Prior("Normal", mu=0, sigma=HALF[1.0]),
    "d": Prior("Normal", mu=0.3, sigma=HALF[0.5]),
}


class Shape:
    """A model: which columns of `plain_rows` it takes, its settings, and what it is by hand.

    `groups` are slopes by group; `ridges`, of levels, the mean and the prior of the scale.
    """

    def __init__(self, columns, groups, ridges=(), curve=False, intercept=True, **settings):
        X, y = plain_rows()
        self.X, self.y = X[columns], y
        self.groups, self.ridges, self.curve = groups, dict(ridges), curve
        self.intercept = intercept
        self.settings = {"groups": groups or None, "fit_intercept": intercept, **settings}

    def built(self):
        """The textbook model, and what the engine makes of the same rows."""
        model = BayesianInterventionRegressor(**self.settings)
        schema = Schema.of(self.X)
        parsed = draft(schema, **model._parameters() | {"outcome": "y"})
        made, (seen,) = specify(parsed, schema.encode(self.X), self.y)
        return model.build_model(self.X, self.y), Problem.of(made.of_outcome, seen)

    def spread(self, values):
        """Without an intercept nothing is about its mean."""
        return np.sqrt(np.mean((values - self.intercept * values.mean(axis=0)) ** 2, axis=0))

    def by_hand(self, problem):
        """All that has a learned scale: by name, columns of each effect, mean, priors of scales.

        And the mean and the covariance of y that the rest gives it.
        """
        X, y = self.X, self.y
        learnt, sd, spread = {}, self.spread(y), self.spread
        numbers = X[[name for name in ("a", "b") if name in X]]
        if self.curve:
            numbers = PolynomialFeatures(2, include_bias=False).fit_transform(numbers)
        numbers = np.asarray(numbers)
        centred = numbers - (numbers.mean(axis=0) if self.intercept else 0)
        for name, slopes in self.groups.items():
            own = hot(X[name])
            units = [1.0, *(spread(X[slope]) for slope in slopes)]
            factors = [np.ones(len(y)), *(X[slope] - X[slope].mean() for slope in slopes)]
            columns = [own * np.asarray(factor)[:, None] for factor in factors]
            learnt[name] = columns, 0.0, [st.t(4, scale=sd / unit) for unit in units]
        for name, (mean, size) in self.ridges.items():
            own = hot(X[name])
            learnt[name] = [own - own.mean(axis=0)], mean, [st.norm(scale=size)]
        if self.curve:  # which has a truth of its own in test_curve.py
            (curve,) = [g for g in problem.equation.priors.groups if g.name == "curve"]
            root = np.asarray(curve.prior.parameters["root"])
        else:
            root = np.diag(2.5 * sd / spread(numbers))
        if self.settings.get("priors") == {"beta": "ridge"}:
            learnt["ridge"] = [centred * sd / spread(numbers)], 0.0, [st.cauchy]
            root = np.zeros((numbers.shape[1], 0))
        mean, covariance = np.zeros(len(y)), centred @ root @ root.T @ centred.T
        if self.intercept:
            mean, covariance = mean + y.mean(), covariance + (2.5 * sd) ** 2
        return learnt, mean, covariance

    def log_density(self, problem, point):
        """A dense Normal of y, and priors, up to a constant."""
        learnt, mean, covariance = self.by_hand(problem)
        mean, covariance = mean.copy(), covariance + point["sigma"] ** 2 * np.eye(len(mean))
        total = st.t.logpdf(point["sigma"], 4, scale=self.spread(self.y)) + np.log(point["sigma"])
        for name, (columns, mu, priors) in learnt.items():
            sds, z = point[name]
            omega = correlation(z, len(sds))
            mean += mu * sum(columns).sum(axis=1)
            for i, of_i in enumerate(columns):
                for j, of_j in enumerate(columns):
                    covariance += sds[i] * sds[j] * omega[i, j] * of_i @ of_j.T
                total += priors[i].logpdf(sds[i]) + np.log(sds[i])
            total += log_lkj(z, len(sds))
        return total + st.multivariate_normal.logpdf(self.y, mean, covariance)


def correlation(z, q):
    """Correlations of which those of i and j given all before j are tanh(z)."""
    omega, at = np.eye(q), 0
    for i in range(q):
        for j in range(i):
            u = np.tanh(z[at])
            at += 1
            before = omega[:j, :j]
            of_i, of_j = omega[i, :j], omega[j, :j]
            shared = of_i @ np.linalg.solve(before, of_j) if j else 0.0
            left = [1 - v @ np.linalg.solve(before, v) if j else 1.0 for v in (of_i, of_j)]
            omega[i, j] = omega[j, i] = shared + u * np.sqrt(left[0] * left[1])
    return omega


def log_lkj(z, q, eta=2.0, step=1e-5):
    """LKJ's density, det(Omega)^(eta - 1), as one of z; the Jacobian by differences."""
    below = np.tril_indices(q, -1)
    if not len(z):
        return 0.0
    jacobian = np.array(
        [
            (correlation(z + move, q) - correlation(z - move, q))[below] / (2 * step)
            for move in step * np.eye(len(z))
        ]
    )
    log_det = np.linalg.slogdet(correlation(z, q))[1]
    return (eta - 1) * log_det + np.linalg.slogdet(jacobian)[1]


class Textbook:
    """The PyMC model as a function of coefficients, of which it is Gaussian given all else."""

    def __init__(self, built):
        self.names = [v.name for v in built.value_vars if v.name.endswith(("_raw", "_beta"))]
        self.names += [v.name for v in built.value_vars if "_beta_" in v.name]
        self.names = [n for n in dict.fromkeys(self.names) if "__" not in n]
        self.names += [v.name for v in built.value_vars if v.name == "y_intercept"]
        moved = [rv for rv in built.free_RVs if built.rvs_to_values[rv].name in self.names]
        self.shapes = {n: np.shape(built.initial_point()[n]) for n in self.names}
        mode = python_mode()
        self.logp = built.compile_logp(mode=mode)
        self.slope = built.compile_dlogp(vars=moved, mode=mode)
        self.names = [built.rvs_to_values[rv].name for rv in moved]
        wanted = [
            built["y_beta"],
            *([built["y_intercept"]] if "y_intercept" in self.names else []),
        ]
        graphs = built.replace_rvs_by_values(wanted)
        self.read = built.compile_fn(
            graphs, inputs=built.value_vars, mode=mode, on_unused_input="ignore"
        )

    def split(self, c):
        sizes = [int(np.prod(self.shapes[n])) for n in self.names]
        parts = np.split(c, np.cumsum(sizes)[:-1])
        return {n: p.reshape(self.shapes[n]) for n, p in zip(self.names, parts, strict=True)}

    def given(self, scales):
        """The log density of scales, and mean and covariance of coefficients given them.

        A Gaussian integral, exact; differences of the gradient of a square are exact too.
        """
        d = sum(int(np.prod(shape)) for shape in self.shapes.values())

        def slope(c):
            return self.slope(scales | self.split(c))

        def read(c):
            return np.concatenate([np.ravel(v) for v in self.read(scales | self.split(c))])

        here = slope(np.zeros(d))
        precision = np.array([here - slope(e) for e in np.eye(d)])
        precision = (precision + precision.T) / 2
        top = np.linalg.solve(precision, here)
        value = float(self.logp(scales | self.split(top)))
        value += d / 2 * np.log(2 * np.pi) - np.linalg.slogdet(precision)[1] / 2
        back = np.array([read(e) - read(np.zeros(d)) for e in np.eye(d)]).T
        return value, read(top), back @ np.linalg.solve(precision, back.T)


def random_point(problem, rng):
    """Scales and what correlations are made of, by group."""
    size = problem.equation.priors.sigma.parameters["sigma"]
    point = {"sigma": float(size * np.exp(rng.normal(-0.5, 0.6)))}
    for group, unit in problem.groups:
        q = len(unit)
        point[group.name] = (
            unit * np.exp(rng.normal(-0.5, 1.0, q)),
            rng.normal(size=q * (q - 1) // 2),
        )
    return point


def theta_of(problem, point):
    parts = [(np.log(point[g.name][0] / unit), point[g.name][1]) for g, unit in problem.groups]
    return np.concatenate([*chain(*parts), [np.log(point["sigma"])]])[None]


def in_pymc(problem, point):
    """The point as the textbook model's sampler moves it."""
    found = {"y_sigma_log__": np.array(np.log(point["sigma"]))}
    for group, _ in problem.groups:
        sds, z = point[group.name]
        name = problem.equation.group_name(group)
        if group.prior.n_groups:
            found[f"{name}_sd_log__"] = np.log(sds)
        else:
            found[f"{problem.equation.scale_name(group)}_log__"] = np.array(np.log(sds[0]))
        if len(z):  # the log odds of (1 + tanh z) / 2
            found[f"{name}_partial_raw_logodds__"] = 2 * z
    return found


BOTH = {"c": (0.0, 1.0), "d": (0.3, 0.5)}
SHAPES = {
    "intercepts": lambda: Shape(["a", "g"], {"g": []}),
    "slopes": lambda: Shape(["a", "b", "g"], {"g": ["a"]}),
    "two slopes": lambda: Shape(["a", "b", "g"], {"g": ["a", "b"]}),
    "crossed": lambda: Shape(["a", "g", "h"], {"g": ["a"], "h": []}),
    "crossed slopes": lambda: Shape(["a", "b", "g", "h"], {"h": ["a", "b"], "g": ["a"]}),
    "ridges": lambda: Shape(["a", "c", "d"], {}, BOTH, priors=RIDGES),
    "ridge and slopes": lambda: Shape(["a", "b", "g"], {"g": ["a"]}, priors={"beta": "ridge"}),
    "levels that share a scale beside slopes": lambda: Shape(
        ["a", "c", "d", "g"], {"g": ["a"]}, BOTH, priors=RIDGES
    ),
    "curve": lambda: Shape(
        ["a", "b", "g", "h"],
        {"g": [], "h": []},
        curve=True,
        design=PolynomialFeatures(2, include_bias=False),
    ),
    "no intercept": lambda: Shape(["a", "g"], {"g": ["a"]}, intercept=False),
}
QUICK = ("two slopes", "ridge and slopes", "curve")


@pytest.mark.parametrize("name", [name if name in QUICK else slow(name) for name in SHAPES])
def test_density_is_that_of_the_textbook_model(name):
    """Coefficients integrated out; and these given scales, as they are drawn."""
    shape = SHAPES[name]()
    built, problem = shape.built()
    textbook, marginal = Textbook(built), Marginal.of(problem.components)
    rng, gaps = np.random.default_rng(1), []
    for k in range(4):
        point = random_point(problem, rng)
        theta = theta_of(problem, point)
        value, mean, covariance = textbook.given(in_pymc(problem, point))
        ours = float(marginal.log_density(theta)[0])
        gaps.append((value - ours, value - shape.log_density(problem, point)))
        if k == 0:
            drawn = problem.by_name(*marginal.coefficients(np.repeat(theta, 4000, axis=0), rng))
            assert_gaussian(at_zero(problem, drawn), mean, covariance)
    np.testing.assert_allclose(gaps - np.mean(gaps, axis=0), 0.0, atol=1e-6)


def at_zero(problem, drawn):
    """Coefficients, and the intercept where all columns are 0."""
    if "intercept" not in drawn:
        return drawn["beta"]
    intercept = drawn["intercept"] - drawn["beta"] @ problem.seen.x_mean
    return np.column_stack([drawn["beta"], intercept])


def assert_gaussian(draws, mean, covariance):
    """Made white by the truth, independent draws have means 0, variances 1, correlations 0."""
    white = np.linalg.solve(np.linalg.cholesky(covariance), (draws - mean).T)
    n, eye = white.shape[1], np.eye(len(white))
    assert np.abs(white.mean(axis=1)).max() < N_STANDARD_ERRORS / np.sqrt(n)
    off = np.abs(white @ white.T / n - eye) / np.sqrt((1 + eye) / n)
    assert off.max() < N_STANDARD_ERRORS


# --- REML, and a published analysis -------------------------------------------------------------


def test_many_groups_tell_what_reml_does():
    """60 groups of 15 rows drown the priors: what is left of these is a few per cent of an sd."""
    import statsmodels.api as sm

    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(60), 15)
    x = rng.normal(size=g.size)
    effects = rng.multivariate_normal([0, 0], [[1.0, 0.3], [0.3, 0.36]], 60)
    y = 1 + 0.5 * x + effects[g, 0] + effects[g, 1] * x + rng.normal(size=g.size)
    X = pd.DataFrame({"g": np.char.add("g", g.astype(str)), "x": x})
    model = BayesianInterventionRegressor(groups={"g": ["x"]}, draws=4000, random_state=0)
    model.fit(X, y)

    # The intercept of a group is that at the mean of x.
    design = np.column_stack([np.ones(len(x)), x - x.mean()])
    reml = sm.MixedLM(y, design, groups=X["g"], exog_re=design).fit(reml=True)
    slope = posterior(model, "y_beta_normal")[:, 0]
    assert abs(slope.mean() - reml.fe_params[1]) < 0.1 * reml.bse_fe[1]
    assert abs(slope.std() / reml.bse_fe[1] - 1) < 0.1
    sds, covariance = posterior(model, "y_beta_g_sd"), np.asarray(reml.cov_re)
    off = np.abs(sds.mean(axis=0) - np.sqrt(np.diag(covariance))) / sds.std(axis=0)
    assert off.max() < 0.5
    corr = posterior(model, "y_beta_g_corr")[:, 0, 1]
    by_reml = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert abs(corr.mean() - by_reml) < 0.5 * corr.std()
    sigma = posterior(model, "y_sigma")
    assert abs(sigma.mean() - np.sqrt(reml.scale)) < 0.1 * sigma.std()

    own = posterior(model, "y_beta_g").reshape(-1, 2, 60)
    labels = model.fitted_.model.of_outcome.design.varying[0].labels
    predicted = np.array([reml.random_effects[label] for label in labels]).T
    # Shrinkage differs as sds do: of 0.3 of an sd as a rule, whose tenth moves an effect by less.
    off = np.abs(own.mean(axis=0) - predicted) / own.std(axis=0)
    assert off.max() < 0.15


# Weights of 30 rats at 8, 15, 22, 29 and 36 days (Gelfand, Hills, Racine-Poon and Smith 1990,
# Illustration of Bayesian inference in normal data models using Gibbs sampling, JASA 85:972).
RATS = """
151 199 246 283 320   145 199 249 293 354   147 214 263 312 328   155 200 237 272 297
135 188 230 280 323   159 210 252 298 331   141 189 231 275 305   159 201 248 297 338
177 236 285 350 376   134 182 220 260 296   160 208 261 313 352   143 188 220 273 314
154 200 244 289 325   171 221 270 326 358   163 216 242 281 312   160 207 248 288 324
142 187 234 280 316   156 203 243 283 317   157 212 259 307 336   152 203 246 286 321
154 205 253 298 334   139 190 225 267 302   146 191 229 272 302   157 211 250 285 323
132 185 237 286 331   160 207 257 303 345   169 216 261 295 333   157 205 248 289 316
137 180 219 258 291   153 200 244 286 324
"""
# Posterior means and sds that the BUGS manual gives: the line at birth, its slope, and the noise.
AT_BIRTH, SLOPE, NOISE = (106.6, 3.66), (6.186, 0.108), (6.09, 0.47)


def test_rats_of_the_bugs_manual():
    """Its priors are others, and a rat's line at 22 days and its slope are independent there.

    Here they may go together, and do, so that the line at birth is known better. What the manual
    says of the line at 22 days follows from what it says of the line at birth.
    """
    y = np.array(RATS.split(), dtype=float)
    rat, age = np.repeat(np.arange(30), 5).astype(str), np.tile([8, 15, 22, 29, 36], 30)
    X = pd.DataFrame({"rat": rat, "age": age})
    model = BayesianInterventionRegressor(groups={"rat": ["age"]}, draws=2500, random_state=0)
    model.fit(X, y)
    slope, at_birth = posterior(model, "y_beta_normal")[:, 0], posterior(model, "y_intercept")
    assert abs(at_birth.mean() - AT_BIRTH[0]) < 0.15 * AT_BIRTH[1]
    middle = AT_BIRTH[0] + 22 * SLOPE[0], np.sqrt(AT_BIRTH[1] ** 2 - (22 * SLOPE[1]) ** 2)
    found = {"middle": at_birth + 22 * slope, "slope": slope, "noise": posterior(model, "y_sigma")}
    for (name, draws), (mean, sd) in zip(found.items(), (middle, SLOPE, NOISE), strict=True):
        assert abs(draws.mean() - mean) < 0.15 * sd, name
        assert abs(draws.std() / sd - 1) < 0.1, name


# --- Closed forms on grids ----------------------------------------------------------------------

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def assert_on_grid(draws, size, points, weights, name=""):
    """Draws of an effective size have the mean, and between them the shares, of a grid."""
    weights = weights / weights.sum()
    mean = weights @ points
    sd = np.sqrt(weights @ (points - mean) ** 2)
    assert abs(draws.mean() - mean) < N_STANDARD_ERRORS * sd / np.sqrt(size), name
    below = np.cumsum(weights) - weights / 2
    for share in LEVELS:
        found = np.mean(draws < np.interp(share, below, points))
        error = np.sqrt(share * (1 - share) / size)
        assert abs(found - share) < N_STANDARD_ERRORS * error, (name, share)


def size_of(model):
    """Independent draws that are worth as much: those that were weighted, and taken of these."""
    effective = statistic(model, "effective_size")
    n = posterior(model, "y_sigma").size
    assert effective > n / 2
    return 1 / (1 / effective + 1 / n)


def midpoints(top, n):
    return (np.arange(n) + 0.5) * top / n


@pytest.mark.parametrize(
    ("n_groups", "spread"),
    [(3, 0.0), (12, 0.0), (3, 1.0), slow(4, 0.0), slow(4, 1.0), slow(12, 1.0)],
)
def test_one_way_layout(n_groups, spread):
    """Groups that do not differ, or do; the mean, the groups and the rest are apart."""
    n = 10
    rng = np.random.default_rng(n_groups)
    rows = rng.normal(size=(n_groups, n))
    rows -= rows.mean(axis=1, keepdims=True)
    rows += 5 + spread * rng.normal(size=(n_groups, 1))
    if not spread:  # means that differ by less than noise alone would make them
        rows += 0.1 * rng.normal(size=(n_groups, 1))
    X = pd.DataFrame({"g": np.repeat([f"g{k:02}" for k in range(n_groups)], n)})
    model = BayesianInterventionRegressor(groups=["g"], draws=2500, random_state=0)
    model.fit(X, rows.ravel())

    size, within = rows.std(), np.square(rows - rows.mean(axis=1, keepdims=True)).sum()
    between = n * np.square(rows.mean(axis=1) - rows.mean()).sum()
    tau, sigma = midpoints(60 * size, 12_000)[:, None], midpoints(3 * size, 400)
    both = sigma**2 + n * tau**2
    log_p = st.t.logpdf(tau, 4, scale=size) + st.t.logpdf(sigma, 4, scale=size)
    log_p = log_p - n_groups * (n - 1) * np.log(sigma) - within / (2 * sigma**2)
    log_p -= 0.5 * (n_groups - 1) * np.log(both) + between / (2 * both)
    # The mean of all is where its prior has it.
    log_p -= 0.5 * np.log((2.5 * size) ** 2 + both / (n * n_groups))
    weights = np.exp(log_p - log_p.max())
    ess = size_of(model)
    assert_on_grid(posterior(model, "y_beta_sd")[:, 0], ess, tau[:, 0], weights.sum(1), "sd")
    assert_on_grid(posterior(model, "y_sigma"), ess, sigma, weights.sum(0), "sigma")


def test_two_kinds_of_levels_that_share_a_scale():
    """All combinations of 5 and 4 levels, 25 rows each: both, and the rest, are apart."""
    rng = np.random.default_rng(5)
    a, b, _ = (k.ravel() for k in np.indices((5, 4, 25)))
    y = 0.5 * rng.normal(size=5)[a] + 0.1 * rng.normal(size=4)[b] + rng.normal(size=500)
    X = pd.DataFrame({"a": np.array(list("ABCDE"))[a], "b": np.array(list("KLMN"))[b]})
    priors = {key: Prior("Normal", mu=0, sigma=Prior("HalfNormal", sigma=1)) for key in "ab"}
    model = BayesianInterventionRegressor(priors=priors, draws=2500, random_state=0).fit(X, y)

    sigma = np.linspace(0.8, 1.25, 151)[:, None]
    tau, parts = midpoints(5.0, 4000), {}
    total = np.square(y - y.mean()).sum()
    for key, codes, n in (("a", a, 100), ("b", b, 125)):
        means = np.array([y[codes == k].mean() for k in np.unique(codes)])
        squares = n * np.square(means - y.mean()).sum()
        total -= squares
        both = sigma**2 + n * tau**2
        log_p = st.norm.logpdf(tau) - 0.5 * (len(means) - 1) * np.log(both) - squares / (2 * both)
        parts[key] = np.exp(log_p - log_p.max())
    rest = 500 - 1 - 4 - 3
    log_p = -rest * np.log(sigma) - total / (2 * sigma**2) + st.t.logpdf(sigma, 4, scale=y.std())
    # The intercept holds at the means of the columns, where effects of levels are 0.
    log_p -= 0.5 * np.log((2.5 * y.std()) ** 2 + sigma**2 / 500)
    weights, ess = np.exp(log_p - log_p.max()), size_of(model)
    for key, other in ("ab", "ba"):
        of_tau = (weights * parts[other].sum(1, keepdims=True) * parts[key]).sum(0)
        assert_on_grid(posterior(model, f"y_beta_{key}_sigma"), ess, tau, of_tau, key)
    of_sigma = (weights * parts["a"].sum(1, keepdims=True) * parts["b"].sum(1, keepdims=True))[
        :, 0
    ]
    assert_on_grid(posterior(model, "y_sigma"), ess, sigma[:, 0], of_sigma, "sigma")


class Waves(TransformerMixin, BaseEstimator):
    """Sines and cosines of both columns, which are places on circles."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        X = np.asarray(X, dtype=float)
        angles = 2 * np.pi * X[:, :, None] * np.arange(1, 4)
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=2).reshape(len(X), -1)


def test_two_ridges():
    """On a full grid of both columns all terms are orthogonal, and have the variance 1/2."""
    rng = np.random.default_rng(8)
    a, b, _ = (k.ravel() for k in np.indices((25, 20, 1)))
    X = pd.DataFrame({"a": a / 25, "b": b / 20})
    terms = Waves().transform(X)
    np.testing.assert_allclose(terms.T @ terms, 250 * np.eye(12), atol=1e-9)
    truth = np.concatenate([0.6 * rng.normal(size=6), 0.03 * rng.normal(size=6)])
    y = 3 + terms @ truth + rng.normal(size=500)
    priors = {"a": "ridge", "b": "ridge"}
    model = BayesianInterventionRegressor(
        priors=priors, design=Waves(), draws=2500, random_state=0
    ).fit(X, y)

    size, least = y.std(), terms.T @ y / 250
    sigma, parts, kept = np.linspace(0.8, 1.25, 151)[:, None], [], []
    tau = np.tan(midpoints(np.pi / 2, 6000))  # on which a half-Cauchy is flat
    for estimate in (least[:6], least[6:]):
        both = sigma**2 + 250 * 2 * (tau * size) ** 2
        log_p = -3 * np.log(both) - 250 * np.square(estimate).sum() / (2 * both)
        parts.append(np.exp(log_p - log_p.max()))
        kept.append(1 - sigma**2 / both)
    rest = np.square(y - y.mean()).sum() - 250 * np.square(least).sum()
    log_p = -(500 - 13) * np.log(sigma) - rest / (2 * sigma**2)
    log_p += st.t.logpdf(sigma, 4, scale=size)
    log_p -= 0.5 * np.log((2.5 * size) ** 2 + sigma**2 / 500)
    weights, ess = np.exp(log_p - log_p.max()), size_of(model)
    beta, masses = posterior(model, "y_beta"), [part.sum(axis=1, keepdims=True) for part in parts]
    for k, key in enumerate("ab"):
        joint = weights * masses[1 - k] * parts[k]
        drawn = posterior(model, f"y_beta_{key}_tau")
        # Its tail has a mean, but hardly a variance that draws of it would tell.
        assert_on_grid(np.arctan(drawn), ess, np.arctan(tau), joint.sum(0), key)
        share = (joint * kept[k]).sum() / joint.sum()
        own = beta[:, 6 * k : 6 * k + 6]
        error = own.std(axis=0) / np.sqrt(ess)
        off = np.abs(own.mean(axis=0) - share * least[6 * k : 6 * k + 6]) / error
        assert off.max() < N_STANDARD_ERRORS, key
    of_sigma = (weights * masses[0] * masses[1])[:, 0]
    assert_on_grid(posterior(model, "y_sigma"), ess, sigma[:, 0], of_sigma, "sigma")


# --- NUTS ---------------------------------------------------------------------------------------


def eight_groups():
    rng = np.random.default_rng(11)
    g, x = np.repeat(np.arange(8), 8), rng.normal(2, 1.5, 64)
    y = rng.normal(size=8)[g] + (0.5 + 0.6 * rng.normal(size=8))[g] * x + rng.normal(size=64)
    return pd.DataFrame({"g": np.array(list("ABCDEFGH"))[g], "x": x}), y


def crossed_groups():
    rng = np.random.default_rng(12)
    g, h = (k.ravel() for k in np.indices((8, 6)))
    g, h = np.tile(g, 2), np.tile(h, 2)
    x = rng.normal(size=len(g))
    y = rng.normal(size=8)[g] + 0.7 * rng.normal(size=6)[h] + rng.normal(size=len(g))
    y = y + (0.5 + 0.5 * rng.normal(size=8))[g] * x
    X = pd.DataFrame({"g": np.array(list("ABCDEFGH"))[g], "h": np.array(list("uvwxyz"))[h]})
    return X.assign(x=x), y


# Scales away from 0, where NUTS is at home.
AWAY = Prior("LogNormal", mu=0, sigma=0.4)
AGAINST_NUTS = {
    "slopes": (eight_groups, {"groups": {"g": ["x"]}, "priors": {"g": AWAY}}),
    "crossed": (
        crossed_groups,
        {"groups": {"g": ["x"], "h": []}, "priors": {"g": AWAY, "h": AWAY}},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", AGAINST_NUTS)
def test_nuts_draws_the_same(name):
    """On the package's own model: means, deviations and quantiles, by ArviZ's errors of both."""
    import arviz as az

    make, settings = AGAINST_NUTS[name]
    X, y = make()
    engines = {"nuts": {"draws": 2500}, "exact": {"draws": 10_000}}
    found = {
        engine: BayesianInterventionRegressor(
            inference=engine, random_state=1, **settings, **more
        ).fit(X, y)
        for engine, more in engines.items()
    }
    chains = {engine: watched(model) for engine, model in found.items()}
    effective = size_of(found["exact"])
    for key, theirs in chains["nuts"].items():
        ours = chains["exact"][key].ravel()
        worse = np.sqrt(ours.size / effective)
        for what in ("mean", "sd", 0.05, 0.95):
            asked = {"method": what}
            if not isinstance(what, str):
                asked = {"method": "quantile", "prob": what}
            values = [summary(draws, what) for draws in (ours, theirs)]
            # Ours are in no order: their errors are those of one chain, as much as they weigh.
            errors = [worse * az.mcse(ours[None], **asked), az.mcse(theirs, **asked)]
            z = (values[0] - values[1]) / np.hypot(*errors)
            assert abs(z) < N_STANDARD_ERRORS, (key, what, z)
            assert np.hypot(*errors) < 0.1 * ours.std(), (key, what)


def summary(draws, what):
    if what == "mean":
        return draws.mean()
    return draws.std(ddof=1) if what == "sd" else np.quantile(draws, what)


def watched(model):
    """Chains of every scale and correlation, the population's slope, and two groups' slopes."""
    values = model.idata_["posterior"].dataset
    found = {"sigma": values["y_sigma"].values, "slope": values["y_beta_normal"].values[..., 0]}
    for name in values.data_vars:
        if name.endswith("_sd"):
            found |= {
                f"{name} {k}": values[name].values[..., k] for k in range(values[name].shape[2])
            }
    found["correlation"] = values["y_beta_g_corr"].values[..., 0, 1]
    own = values["y_beta_g"].values[..., 8:]
    return found | {f"slope of {k}": found["slope"] + own[..., k] for k in (0, 5)}
