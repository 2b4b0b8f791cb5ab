"""Shrinkage priors: their densities, what they imply, and that NUTS can sample them."""

import numpy as np
import pytest
from conftest import N_STANDARD_ERRORS
from scipy import stats

from interventional.inference.diagnostics import of_chains
from interventional.scm import shrinkage
from interventional.scm.compiling import python_mode

KINDS = ("ridge", "horseshoe", "r2d2")
P_VALUE = 1e-5  # of a goodness of fit test: one in 10,000 runs fails by chance


def prior_model(kind, size, x_scale=None, y_scale=3.0, noise=2.0, n=40):
    """A model that holds the prior and nothing else."""
    import pymc as pm

    x_scale = np.ones(size) if x_scale is None else x_scale
    with pm.Model(coords={"term": range(size)}) as model:
        getattr(shrinkage, kind)("b", x_scale, y_scale, noise, n, "term")
    return model


def auxiliary(kind, size):
    """What a prior adds besides the coefficients; a single term has no shares."""
    added = dict(shrinkage.AUXILIARY[kind])
    if size == 1:
        added.pop("_phi", None)
    return added


def prior_draws(model, names, draws=1, seed=0):
    import pymc as pm

    variables = [model[name] for name in names]
    return pm.draw(variables, draws=draws, random_seed=seed, mode=python_mode())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2, 6])
@pytest.mark.parametrize("n", [0, 3, 10_000])
def test_density_is_the_one_written_out(kind, size, n):
    """The joint density of the coefficients and their scales, wherever the sampler looks."""
    from pymc.model.transform.conditioning import remove_value_transforms

    x_scale, y_scale, noise = np.linspace(0.5, 4.0, size), 3.0, 2.0
    model = prior_model(kind, size, x_scale, y_scale, noise, n)
    names = ["b", *(f"b{ending}" for ending in auxiliary(kind, size))]
    point = dict(zip(names, prior_draws(model, names, seed=n), strict=True))
    beta, raw = point["b"], point["b_raw"]
    match kind:
        case "ridge":
            scale = y_scale / x_scale * point["b_tau"]
            truth = stats.halfcauchy.logpdf(point["b_tau"])
        case "horseshoe":
            effects = {1: 0.5, 2: 1.0, 6: 1.0}[size]
            tau_0 = effects / (size - effects) * noise / np.sqrt(max(n, 1))
            tau, local, slab = point["b_tau"], point["b_lambda"], point["b_slab"]
            c = np.sqrt(slab) * y_scale
            scale = np.sqrt(c**2 * local**2 / (c**2 + tau**2 * local**2)) * tau / x_scale
            truth = (
                stats.halfcauchy.logpdf(tau, scale=tau_0)
                + stats.halfcauchy.logpdf(local).sum()
                + stats.invgamma.logpdf(slab, 2, scale=8)
            )
        case "r2d2":
            explained = noise**2 * point["b_r2"] / (1 - point["b_r2"])
            shares = point.get("b_phi", np.ones(1))
            scale = np.sqrt(explained * shares) / x_scale
            truth = stats.dirichlet.logpdf(shares, np.full(size, 0.5)) if size > 1 else 0.0
    # The sampler's coordinates are proportional to the coefficients given the scales.
    truth += np.sum(stats.norm.logpdf(beta, scale=scale) + np.log(beta / raw))
    free = remove_value_transforms(model)
    assert set(names) == {v.name for v in free.free_RVs} | {"b"}
    logp = free.compile_logp(mode=python_mode())
    values = {v.name: point[v.name] for v in free.free_RVs}
    # PyMC takes the logarithms of constants in single precision.
    np.testing.assert_allclose(logp(values), truth, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_auxiliary_variables_are_those_of_the_model(kind, size):
    model = prior_model(kind, size)
    added = auxiliary(kind, size)
    dims = {f"b{key}": ("term",) if per_term else () for key, per_term in added.items()}
    found = {v.name: tuple(model.named_vars_to_dims.get(v.name, ())) for v in model.unobserved_RVs}
    assert found == dims | {"b": ("term",)}


@pytest.mark.parametrize("kind", KINDS)
def test_two_priors_stand_in_one_model_of_symbolic_numbers(kind):
    """Numbers may be slices of a shared vector, and the noise a variable."""
    import pymc as pm
    import pytensor

    numbers = pytensor.shared(np.array([1.0, 2.0, 3.0, 4.0, 50.0]))
    with pm.Model(coords={"y_term": range(3), "m_term": range(2)}) as model:
        for node, size in (("y", 3), ("m", 2)):
            sigma = pm.HalfNormal(f"{node}_sigma")
            x_scale, y_scale, n = numbers[:size], numbers[3], numbers[4]
            getattr(shrinkage, kind)(f"{node}_beta", x_scale, y_scale, sigma, n, f"{node}_term")
    assert np.isfinite(model.compile_logp(mode=python_mode())(model.initial_point()))
    y, m = prior_draws(model, ["y_beta", "m_beta"])
    assert y.shape == (3,)
    assert m.shape == (2,)


@pytest.mark.parametrize("n", [0, 40])
def test_coefficients_given_their_scale_are_normal(n):
    size, y_scale = 20_000, 3.0
    x_scale = np.linspace(0.1, 5.0, size)
    model = prior_model("ridge", size, x_scale, y_scale, n=n)
    beta, tau = prior_draws(model, ["b", "b_tau"])
    assert stats.kstest(beta * x_scale / (y_scale * tau), "norm").pvalue > P_VALUE


def varying_model(n_groups, unit, error=0.7):
    """A model of what differs between groups: half-t scales with four degrees, in some units."""
    import pymc as pm

    size = len(unit)
    coords = {"y_term": range(size * n_groups)}
    coords |= {"y_effect": range(size), "y_effect_": range(size)}

    def sd(name):
        return pm.HalfStudentT(name, nu=4.0, sigma=np.asarray(unit), dims="y_effect")

    errors = np.linspace(error, 2 * error, size)
    with pm.Model(coords=coords) as model:
        shrinkage.varying("b", sd, size, n_groups, errors, "y_term")
    return model


def half_t(value, unit):
    return np.log(2) + stats.t.logpdf(value, 4, scale=unit)


def test_density_of_intercepts_by_group_is_the_one_written_out():
    from pymc.model.transform.conditioning import remove_value_transforms

    model = varying_model(5, [3.0])
    beta, raw, sd = prior_draws(model, ["b", "b_raw", "b_sd"], seed=2)
    truth = half_t(sd, 3.0).sum() + np.sum(stats.norm.logpdf(beta, scale=sd) + np.log(beta / raw))
    logp = remove_value_transforms(model).compile_logp(mode=python_mode())
    np.testing.assert_allclose(logp({"b_raw": raw, "b_sd": sd}), truth, rtol=0, atol=1e-6)


def test_density_of_intercepts_and_slopes_by_group_is_the_one_written_out():
    """Of two scales and a correlation r, on which LKJ(2) has the density 3/4 (1 - r²)."""
    from pymc.model.transform.conditioning import remove_value_transforms

    unit = np.array([3.0, 0.2])
    model = varying_model(4, unit)
    names = ["b", "b_raw", "b_sd", "b_corr", "b_partial_raw"]
    logp = remove_value_transforms(model).compile_logp(mode=python_mode())
    for seed in (3, 4):
        beta, raw, sd, corr, partial = prior_draws(model, names, seed=seed)
        r = 2 * partial[0] - 1
        np.testing.assert_allclose(corr, [[1, r], [r, 1]], rtol=1e-10)
        cov = sd[:, None] * corr * sd
        root = np.linalg.cholesky(cov)
        width = np.sqrt(1 + (np.diagonal(root) / [0.7, 1.4]) ** 2)  # of what the sampler moves in
        own = root @ (raw.reshape(2, 4) / width[:, None])
        np.testing.assert_allclose(beta.reshape(2, 4), own, rtol=1e-10)
        truth = half_t(sd, unit).sum() + np.log(0.75 * (1 - r**2)) + np.log(2)  # d(r) = 2 d(u)
        truth += stats.multivariate_normal(np.zeros(2), cov).logpdf(beta.reshape(2, 4).T).sum()
        truth += 4 * np.sum(np.log(np.diagonal(root) / width))  # d(b) by d(raw)
        found = logp({"b_raw": raw, "b_sd": sd, "b_partial_raw": partial})
        np.testing.assert_allclose(found, truth, rtol=0, atol=1e-6)


def test_horseshoe_expects_a_tenth_of_the_terms_and_at_least_one():
    assert [shrinkage.expected_effects(size) for size in (1, 2, 3, 10, 50)] == [0.5, 1, 1, 1, 5]


def test_horseshoe_shrinks_as_many_terms_as_expected():
    """The effective number of coefficients that are not 0 has the moments of theory.

    With a slab far away, Piironen and Vehtari (2017, section 3.2) have them given tau in closed
    form; where tau is the scale of its prior, their mean is the number of effects expected.
    """
    import pymc as pm

    size, noise, n = 20_000, 2.0, 40
    model = prior_model("horseshoe", size, y_scale=1e9, noise=noise, n=n)
    (drawn,) = prior_draws(model, ["b_tau"])
    for tau in (float(drawn), noise / np.sqrt(n) / 9):
        given_tau = pm.do(model, {"b_tau": tau})
        beta, raw = prior_draws(given_tau, ["b", "b_raw"])
        # beta is raw times the root of noise²/n times the share that is not shrunk
        effective = np.sum((beta / raw) ** 2) * n / noise**2
        a = tau * np.sqrt(n) / noise
        mean, variance = size * a / (1 + a), size * a / (2 * (1 + a) ** 2)
        assert abs(effective - mean) < N_STANDARD_ERRORS * np.sqrt(variance)
    assert mean == pytest.approx(shrinkage.expected_effects(size))


def test_horseshoe_slab_bounds_what_is_not_shrunk():
    """Where tau shrinks nothing, the prior is a Student t with the slab's four degrees."""
    import pymc as pm

    model = pm.do(prior_model("horseshoe", 1, y_scale=3.0), {"b_tau": 1e12})
    (beta,) = prior_draws(model, ["b"], draws=1000)
    assert stats.kstest(beta[:, 0], stats.t(4, scale=2 * 3.0).cdf).pvalue > P_VALUE


def test_r2_of_the_linear_predictor_has_the_beta_prior():
    """On standardised uncorrelated terms the linear predictor's variance is the sum of squares."""
    size, noise = 2000, 2.0
    x_scale = np.linspace(0.5, 2.0, size)
    model = prior_model("r2d2", size, x_scale, noise=noise)
    (beta,) = prior_draws(model, ["b"], draws=400)
    explained = np.sum((beta * x_scale) ** 2, axis=1)
    alpha = shrinkage.R2_MEAN * shrinkage.R2_PRECISION
    truth = stats.beta(alpha, shrinkage.R2_PRECISION - alpha)
    assert stats.kstest(explained / (explained + noise**2), truth.cdf).pvalue > P_VALUE


def test_r2d2_is_that_of_pymc_extras():
    """Equal scales for equal shares, and a residual standard deviation that stays the noise."""
    import pymc as pm
    from pymc_extras.distributions import R2D2M2CP

    x_scale, noise = np.linspace(0.5, 4.0, 6), 2.0
    model = prior_model("r2d2", 6, x_scale, noise=noise, n=0)
    with model:
        share = model["b_r2"]
        total = noise / np.sqrt(1 - share)
        parts = {"r2": share, "variance_explained": model["b_phi"]}
        residual, theirs = R2D2M2CP("c", total, x_scale, dims="term", **parts)
    variables = [residual, theirs / model["c::raw"], model["b"], model["b_raw"]]
    residual, scale, beta, raw = pm.draw(variables, random_seed=3, mode=python_mode())
    assert residual == pytest.approx(noise)
    # raw has the variance 1 + scale² / error², and beta is in proportion to it
    np.testing.assert_allclose(beta / raw, 1 / np.hypot(1 / scale, x_scale / noise))


# NUTS on what a Gaussian likelihood sees of the rows.


def level_rows(seed, n, levels):
    """Rows of unequal levels, whose effects have the standard deviation 0.5."""
    rng = np.random.default_rng(seed)
    level = rng.choice(levels, size=n, p=rng.dirichlet(np.full(levels, 3.0)))
    level[:levels] = np.arange(levels)
    effects = 0.5 * rng.normal(size=levels)
    X = np.eye(levels)[level][:, 1:]
    return X, effects[level] + rng.normal(size=n)


def sufficient(X, y):
    """What the likelihood and the priors see of rows."""
    n, size = X.shape
    centred = y - y.mean()
    q, r = np.linalg.qr(X - X.mean(axis=0))
    z = q.T @ centred
    rss = np.sum((centred - q @ z) ** 2)
    numbers = {"r": r, "z": z, "rss": rss, "dof": n - 1 - size, "n": n}
    numbers |= {"x_scale": X.std(axis=0), "y_scale": y.std()}
    return {name: np.asarray(value, dtype=np.float64) for name, value in numbers.items()}


class Sampler:
    """One prior's model, compiled once."""

    def __init__(self, kind, size):
        import nutpie
        import pymc as pm
        import pytensor
        import pytensor.tensor as pt

        empty = sufficient(np.eye(size + 3, size), np.arange(size + 3.0))
        known = {name: pytensor.shared(value, name=name) for name, value in empty.items()}
        with pm.Model(coords={"term": range(size)}) as model:
            sigma = pm.HalfStudentT("sigma", nu=4, sigma=known["y_scale"])
            x_scale, y_scale, n = known["x_scale"], known["y_scale"], known["n"]
            beta = getattr(shrinkage, kind)("b", x_scale, y_scale, sigma, n, "term")
            mu, rate = pt.dot(known["r"], beta), 1 / (2 * sigma**2)
            pm.Potential("z", pm.logp(pm.Normal.dist(mu, sigma), known["z"]).sum())
            pm.Potential("rss", pm.logp(pm.Gamma.dist(known["dof"] / 2, rate), known["rss"]))
        self.compiled = nutpie.compile_pymc_model(model)

    def __call__(self, numbers, seed=0):
        """Draws by name (chain, draw, ...), which must have converged."""
        import nutpie

        used = {variable.name for variable in self.compiled.shared_var_keys}
        trace = nutpie.sample(
            self.compiled.with_data(**{name: numbers[name] for name in used}),
            draws=1000,
            tune=1000,
            chains=4,
            seed=seed,
            adaptation="low_rank",
            target_accept=shrinkage.TARGET_ACCEPT,
            progress_bar=False,
        )
        draws = {str(k): v.values for k, v in trace["posterior"].dataset.data_vars.items()}
        stats = {name: trace["sample_stats"][name].values for name in ("diverging", "energy")}
        assert not of_chains(draws, stats)
        return draws


@pytest.mark.slow
def test_posterior_is_that_of_quadrature():
    """Given the scale and sigma all is Gaussian; over these two the posterior is summed."""
    from arviz_stats.base import array_stats

    sample = Sampler("ridge", 7)
    for n in (30, 20_000):
        numbers = sufficient(*level_rows(2, n, 8))
        draws = sample(numbers)
        moments = moments_by_quadrature(**numbers)
        axes = {"chain_axis": 0, "draw_axis": 1}
        found = np.concatenate([draws["b"], np.log(draws["b_tau"])[..., None]], axis=2)
        error = found.std(axis=(0, 1)) / np.sqrt(array_stats.ess(found, method="mean", **axes))
        z = (found.mean(axis=(0, 1)) - moments) / error
        assert np.all(np.abs(z) < N_STANDARD_ERRORS), z


def moments_by_quadrature(r, z, rss, dof, n, x_scale, y_scale):
    """Posterior means of the coefficients and of log tau."""
    log_tau = np.linspace(-12, 6, 1500)[:, None, None]
    log_sigma = np.log(np.sqrt(rss / dof)) + np.linspace(-8, 8, 401)[:, None] / np.sqrt(2 * dof)
    tau, sigma = np.exp(log_tau), np.exp(log_sigma)
    unit = y_scale / x_scale
    u, d, vt = np.linalg.svd(r * unit)
    rotated = u.T @ z
    marginal = stats.norm.logpdf(rotated, scale=np.sqrt(sigma**2 + (tau * d) ** 2)).sum(axis=-1)
    tau, sigma = tau[..., 0], sigma[..., 0]
    logp = marginal + stats.halfcauchy.logpdf(tau) + log_tau[..., 0]
    logp += stats.gamma.logpdf(rss, dof / 2, scale=2 * sigma**2)
    logp += stats.t.logpdf(sigma, 4, scale=y_scale) + log_sigma[..., 0]
    weight = np.exp(logp - logp.max())
    weight /= weight.sum()
    tau, sigma, weight = tau[..., None], sigma[..., None], weight[..., None]
    shrunk = np.sum(weight * tau**2 * d / (sigma**2 + (tau * d) ** 2), axis=(0, 1))
    return np.append(unit * (vt.T @ (shrunk * rotated)), np.sum(weight * log_tau))
