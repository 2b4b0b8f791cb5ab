"""NumPyro by hand: the same model in JAX, its chains vectorised and compiled once."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from benchmarks import answers
from benchmarks.data import CHAINS, DRAWS, TUNE, Data, kept
from benchmarks.peers.interventional import rows_answer
from benchmarks.peers.pymc_by_hand import averaged, by_row, read_averaged

TITLE = "NumPyro by hand"
REQUIREMENTS = ["numpyro==0.22.0", "threadpoolctl==3.8.0"]
PACKAGES = ("numpyro", "jax", "jaxlib", "numpy")
LARGEST = {"fit": 2e5, "answer": 2e5, "intervene": 1e5, "average": 1e5, "rows": 1e5, "effect": 1e5}
REMARKS: dict[str, str] = {}
FAMILIES = ("bernoulli", "poisson")


@cache
def compiled(kind: str) -> Any:
    """Return all of NUTS as one compiled function, of the data and the priors' numbers.

    Left to itself, `MCMC.run` compiles anew each time that it is given arrays. Zeros and ones, and
    counts, have Normal(0, 1) priors.
    """
    import numpyro

    numpyro.enable_x64()
    import jax
    import jax.numpy as jnp
    from numpyro import distributions as dist
    from numpyro.infer import MCMC, NUTS

    def generalised(X: Any, y: Any, p: dict[str, Any]) -> None:
        beta = numpyro.sample("beta", dist.Normal(jnp.zeros(X.shape[1]), 1.0).to_event(1))
        eta = numpyro.sample("center", dist.Normal(0.0, 1.0)) + X @ beta
        rows = dist.BernoulliLogits(eta) if kind == "bernoulli" else dist.Poisson(jnp.exp(eta))
        numpyro.sample("y", rows, obs=y)

    def gaussian(X: Any, y: Any, p: dict[str, Any]) -> None:
        beta = numpyro.sample("beta", dist.Normal(0.0, p["beta"]).to_event(1))
        center = numpyro.sample("center", dist.Normal(p["center"], p["center_sd"]))
        scale = dist.HalfNormal(p["sigma"])
        if kind != "gallery":
            scale = dist.FoldedDistribution(dist.StudentT(4, 0, p["sigma"]))
        sigma = numpyro.sample("sigma", scale)
        numpyro.sample("y", dist.Normal(center + X @ beta, sigma), obs=y)

    model = generalised if kind in FAMILIES else gaussian

    @jax.jit
    def chains(X: Any, y: Any, p: dict[str, Any]) -> Any:
        mcmc = MCMC(
            NUTS(model), num_warmup=TUNE, num_samples=DRAWS, num_chains=CHAINS,
            chain_method="vectorized", progress_bar=False,
        )  # fmt: skip
        mcmc.run(jax.random.PRNGKey(1), X, y, p)
        return mcmc.get_samples(group_by_chain=True)

    return chains


def sampler(data: Data) -> Callable[[], Any]:
    """Return a call that runs NUTS; the first at a size compiles."""
    chains, design, priors = compiled(data.name), data.design, data.priors

    def run() -> Any:
        samples = chains(design, data.y, priors)
        return {name: np.asarray(values) for name, values in samples.items()}

    return run


def sample(data: Data) -> Any:
    return sampler(data)()


def fit(data: Data) -> Any:
    return sampler(data), lambda samples: answers.from_draws(samples["beta"])


def product(data: Data) -> Callable[[Any, float], Any]:
    """Return a call that computes mu under do, compiled: without a graph, columns are set."""
    import jax

    @jax.jit
    def mu(beta: Any, center: Any, rows: Any) -> Any:
        return center[..., None] + beta @ rows.T

    def do(samples: Any, value: float) -> Any:
        rows = data.asked.copy()
        rows[:, data.forced] = value
        return np.asarray(mu(samples["beta"], samples["center"], rows))

    return do


def intervene(data: Data) -> Any:
    samples, do = kept(data, sample), product(data)
    return lambda: do(samples, 0.0), lambda draws: answers.from_draws(draws.mean(axis=-1))


def average(data: Data) -> Any:
    samples, do = kept(data, sample), product(data)
    return lambda: averaged(do(samples, 0.0)), read_averaged


def rows(data: Data) -> Any:
    samples, do = kept(data, sample), product(data)
    return lambda: by_row(do(samples, 0.0)), rows_answer


def effect(data: Data) -> Any:
    samples, do = kept(data, sample), product(data)
    return lambda: averaged(do(samples, 1.0) - do(samples, 0.0)), read_averaged


def answer(data: Data) -> Any:
    def run() -> Any:
        samples, do = sampler(data)(), product(data)
        return averaged(do(samples, 1.0) - do(samples, 0.0))

    return run, read_averaged


TASKS: dict[tuple[str, str], Callable[[Data], Any]] = {
    ("fit", "NUTS"): fit,
    **{(f"fit_{family}", "NUTS"): fit for family in FAMILIES},
    ("intervene", "matrix product"): intervene,
    ("average", "matrix product"): average,
    ("rows", "matrix product"): rows,
    ("effect", "matrix product"): effect,
    ("answer", "NUTS, matrix product"): answer,
}
