"""The priors of an equation: defaults that follow the scale of the data, and the user's own."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from interventional.data.grouped import GroupedDesign, Varying
from interventional.data.seen import Moments
from interventional.data.smooth import Design, SmoothDesign
from interventional.errors import UndeterminedError, listed, unknown
from interventional.numbers import SMALLEST, Floats
from interventional.scm.compiling import StructureCache, python_mode
from interventional.scm.curve import CURVE, Curves
from interventional.scm.families import DEFAULT, DISPERSIONS, FAMILIES
from interventional.scm.links import IDENTITY
from interventional.scm.priors import (
    LOCATIONS,
    EquationPriors,
    Group,
    PriorSpec,
    normal_parameters,
    one_each,
)
from interventional.scm.shrinkage import KINDS, VARYING
from interventional.scm.surface_priors import SurfacePriors

if TYPE_CHECKING:
    from pymc_extras.prior import Prior

_below_zero = StructureCache(64)  # the log densities there of priors of positive parameters
_SPREAD = 2.5  # of a default intercept, in sd(y) or on the scale of the link: as rstanarm's


def resolve(
    user: "Mapping[str, Prior] | None",
    design: Design,
    values: Floats | None,
    moments: Moments | None,
    *,
    fit_intercept: bool,
    center: bool,
    family: str = DEFAULT,
    curves: Callable[[], Curves] | None = None,
) -> EquationPriors:
    """Return the priors of an equation: the user's where there are some, defaults elsewhere.

    Parameters
    ----------
    user : mapping or None
        The ``priors`` parameter of the estimator.
    design : Design
        The design of the equation.
    values : ndarray of shape (n, columns) or None
        Encoded rows, to see which terms of a transformer come from a column.
    moments : Moments or None
        What the defaults are scaled by; None for an outcome that nobody has seen yet, whose
        defaults are those of standardised data.
    fit_intercept, center : bool
        Whether there is an intercept, and whether its prior holds at the predictors' means.
    family : str
        How the node is distributed.
    curves : callable, optional
        Returns the curves that the terms make, where their default prior is one of these.
    """
    record = FAMILIES[family]
    defaults = dict(record.dispersion)
    given = _checked(user, design, fit_intercept, tuple(defaults), family)
    n_terms = len(design.population)
    of_groups = {part.name: given.pop(part.name, None) for part in design.varying}
    if moments is None:
        moments = Moments(0, np.zeros(n_terms), np.ones(n_terms), 0.0, 1.0)
    owners = _owners(given, design, values)
    by_default = None in owners or ("sigma" in defaults and "sigma" not in given)
    by_default = by_default or (fit_intercept and "intercept" not in given)
    if by_default and not moments.y_scale > 0:
        raise UndeterminedError(
            f"y is constant (n_samples={moments.n}), so the default priors, which take their "
            "scale from its standard deviation, are undefined; give priors for beta, intercept "
            "and sigma, the last one such that sigma cannot go to 0"
        )
    for term, size in zip(design.population, moments.x_scale, strict=False):
        if size < SMALLEST:
            raise ValueError(
                f"the values of {term!r} spread by no more than {size:g}, which must be at least "
                f"{SMALLEST:g}; give the column in other units"
            )
    # Where inference is Gaussian, y_scale is that of what is Gaussian.
    link = IDENTITY if record.inner is not None else record.link
    size = link.unit * moments.y_scale
    of_base = n_terms - (len(design.means) if isinstance(design, GroupedDesign) else 0)
    on_curves = [term for term, owner in enumerate(owners[:of_base]) if owner is None]
    root = None
    if curves is not None and on_curves:
        root = size * curves().root(on_curves)
    scale, x_mean = size / moments.x_scale[:n_terms], moments.x_mean[:n_terms]
    intercept = None
    if fit_intercept:
        spread = _SPREAD * moments.y_scale
        if not center:  # the prior is at x = 0, which may be far from the data
            moved = scale * x_mean
            if root is not None:
                moved[on_curves] = x_mean[on_curves] @ root
            spread = float(np.hypot(spread, np.linalg.norm(moved)))
        default = PriorSpec.of("Normal", mu=moments.y_mean, sigma=spread)
        intercept = given.get("intercept", default)
    dispersion = {}
    for name, (distribution, numbers) in defaults.items():
        if name == "sigma":
            numbers = {**numbers, "sigma": moments.y_scale}
        dispersion[name] = given.get(name, PriorSpec.of(distribution, **numbers))
    groups = _groups(given, owners, scale, moments, on_curves, root)
    if isinstance(design, GroupedDesign | SmoothDesign):
        for k, part in enumerate(design.varying):
            terms = tuple(range(len(design.terms))[design.span(k)])
            prior = _of_groups(part, of_groups[part.name], moments)
            groups += (Group(_name(part.name), prior, terms),)
    surface = None
    if isinstance(design, SmoothDesign):
        surface = SurfacePriors.of(design.surface, moments.y_scale)
    return EquationPriors(groups, intercept, dispersion, surface)


def _of_groups(part: Varying, given: PriorSpec | None, moments: Moments) -> PriorSpec:
    """Return the prior of what differs between groups of rows."""
    unit = moments.y_scale / np.concatenate([[1.0], moments.x_scale[list(part.slopes)]])
    sd = PriorSpec.of("HalfStudentT", nu=4.0, sigma=unit)
    if given is not None:
        for path, leaf in given.leaves().items():
            if leaf.ndim > 1 or (leaf.ndim and leaf.shape != (len(part.effects),)):
                raise ValueError(
                    f"priors[{part.name!r}]: {path[1:]} has shape {leaf.shape}, allowed are a "
                    f"number or ({len(part.effects)},), one each for {listed(part.effects)}"
                )
        sd = given
    rows = max(moments.n, 1) / len(part.keys)
    numbers = {"unit": unit, "noise": moments.noise, "rows": rows, "groups": len(part.keys)}
    arrays = {name: np.asarray(value, dtype=np.float64) for name, value in numbers.items()}
    return PriorSpec(VARYING, {"sd": sd, **arrays})


def _checked(
    user: "Mapping[str, Prior] | None",
    design: Design,
    fit_intercept: bool,
    dispersion: tuple[str, ...],
    family: str,
) -> dict[str, PriorSpec]:
    """Return the user's priors by name, each known to be usable where it stands."""
    if user is None:
        return {}
    if not isinstance(user, Mapping):
        raise TypeError(f"priors must be a mapping from names to Prior, got {user!r}")
    of_groups = {part.name for part in design.varying}
    names = (*design.schema.names, *design.population, *of_groups)
    reserved = ("beta", "intercept", *dispersion)
    for key in user:
        if key not in reserved and key not in names:
            if key in DISPERSIONS:
                raise ValueError(f"priors: a prior of {key}, which a {family} outcome has not")
            message = unknown("name in priors:", key, dict.fromkeys((*reserved, *names)))
            level = isinstance(key, str) and design.schema.may_have_term(key)
            raise UndeterminedError(message) if level else ValueError(message)
        if key in reserved and key in names:
            raise ValueError(
                f"priors: {key!r} is both a column and the name for all of an equation's {key}; "
                "rename the column"
            )
    given = {key: PriorSpec.parse(prior, f"priors[{key!r}]") for key, prior in user.items()}
    for key in of_groups & {*given}:
        if not given[key].is_plain or given[key].distribution in (*KINDS, "DiracDelta"):
            raise ValueError(
                f"priors[{key!r}]: {user[key]!r} is no prior of the standard deviations between "
                "groups; give one distribution of positive numbers, with one number each for the "
                "intercept and the slopes, or one for all"
            )
        _refuse_negative_support(given[key], key)
    for key in ("intercept", *dispersion):
        if key not in given:
            continue
        spec = given[key]
        if spec.distribution in KINDS:
            raise ValueError(
                f"priors[{key!r}]: {user[key]!r} is a prior of coefficients; give {key} a Prior"
            )
        if any(leaf.ndim for leaf in spec.leaves().values()):
            raise ValueError(f"priors[{key!r}]: {spec} has an array for a single number")
        if key == "intercept":
            _check_intercept(spec, fit_intercept)
        else:
            _refuse_negative_support(spec, key)
    return given


def _check_intercept(prior: PriorSpec, fit_intercept: bool) -> None:
    """Refuse a prior of an intercept that is not there, or one that cannot be moved."""
    if not fit_intercept:
        raise ValueError("priors: a prior for the intercept, but fit_intercept=False")
    if prior.distribution not in LOCATIONS or prior.transform is not None:
        raise ValueError(
            f"priors['intercept']: {prior} has no location to move to the predictors' "
            f"means; use one of {listed(LOCATIONS)}"
        )


def _owners(
    given: Mapping[str, PriorSpec], design: Design, values: Floats | None
) -> list[str | None]:
    """Return for each term the key of the prior that it takes: its own, its column's, or all's."""
    named = [key for key in given if key in (*design.schema.names, *design.population)]
    owners: list[str | None] = ["beta" if "beta" in given else None] * len(design.population)
    columns = [key for key in named if key in design.schema.names]
    sources = design.sources(values) if columns else []
    for key in columns:
        alone = {design.schema.names.index(key)}
        terms = [term for term, found in enumerate(sources[: len(owners)]) if found == alone]
        if not terms and key not in design.population:
            raise UndeterminedError(f"priors[{key!r}]: no term of the design comes from it alone")
        for term in terms:
            owners[term] = key
    for key in named:
        if key in design.population and key not in columns:
            owners[design.population.index(key)] = key
    return owners


def _groups(
    given: Mapping[str, PriorSpec],
    owners: list[str | None],
    scale: Floats,
    moments: Moments,
    on_curves: list[int],
    root: Floats | None,
) -> tuple[Group, ...]:
    """Return the terms by prior; all that are Normal are one group, and all that are Flat.

    Those on curves are one of their own where the default prior is one of these, with `root`.
    """
    members: dict[str, list[int]] = {}
    priors: dict[str, PriorSpec] = {"flat": PriorSpec.of("Flat")}
    mu, sigma = np.zeros(len(owners)), scale.copy()
    for key in dict.fromkeys(owners):
        terms = [term for term, owner in enumerate(owners) if owner == key]
        prior = None if key is None else given[key]
        if prior is None and root is not None:
            members[CURVE], priors[CURVE] = on_curves, PriorSpec.of(CURVE, root=root)
            terms = [term for term in terms if term not in on_curves]
            if not terms:
                continue
        if prior is None or prior.is_normal:
            members.setdefault("normal", []).extend(terms)
            if prior is not None:
                mu[terms], sigma[terms] = normal_parameters(prior, len(terms), str(key))
        elif prior.distribution == "Flat" and prior.is_plain:
            members.setdefault("flat", []).extend(terms)
        elif prior.distribution in KINDS:
            name = prior.distribution if key == "beta" else _name(key)
            members[name] = terms
            priors[name] = PriorSpec.of(
                prior.distribution,
                x_scale=moments.x_scale[terms],
                y_scale=moments.y_scale,
                noise=moments.noise,
                n=max(moments.n, 1),
            )
        else:
            for path, leaf in prior.leaves().items():
                one_each(leaf, len(terms), f"{key}{path}")
            name = _name(key)
            members[name], priors[name] = terms, prior
    groups = []
    for name, terms in members.items():
        terms = sorted(terms)
        if name == "normal":
            priors[name] = PriorSpec.of("Normal", mu=mu[terms], sigma=sigma[terms])
        groups.append(Group(name, priors[name], tuple(terms)))
    return tuple(groups)


def _name(key: str | None) -> str:
    """Return what the group of a key of the user's is called: a column may be called "flat"."""
    name = str(key)
    return f"{name}_" if name in ("normal", "flat", CURVE, *KINDS) else name


def _refuse_negative_support(prior: PriorSpec, name: str) -> None:
    """Refuse a prior of a positive parameter that gives density to negative values."""
    if not prior.is_plain:
        return
    if prior.fixed is not None and (prior.fixed < 0 or (prior.fixed == 0 and name != "sigma")):
        raise ValueError(f"priors[{name!r}]: {prior} allows negative values, or 0")

    def log_density() -> float:  # tens of milliseconds
        import pymc as pm

        density = pm.logp(getattr(pm, prior.distribution).dist(**prior.parameters), -1e-3)
        try:
            return float(np.max(density.eval(mode=python_mode())))
        except pm.logprob.utils.ParameterValueError as error:
            raise ValueError(f"priors[{name!r}]: {prior} is no distribution: {error}") from error

    numbers = tuple((path, value.tobytes()) for path, value in prior.leaves().items())
    if _below_zero.get((prior.skeleton, numbers), log_density) > -np.inf:
        raise ValueError(f"priors[{name!r}]: {prior} allows negative values")
