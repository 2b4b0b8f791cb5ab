"""Priors: scale-aware defaults, the user's own, and what a model needs to know of them.

A user's `pymc_extras.prior.Prior` is parsed into a `PriorSpec`, which pickles without PyMC. The
*leaves* of a prior are the numbers in it; its *skeleton* is what remains when they are taken out.
Two models with equal skeletons are one compiled structure.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from interventional.errors import listed, unknown
from interventional.numbers import LARGEST, SMALLEST, Floats
from interventional.scm.bounds import BOUNDED, Bounds
from interventional.scm.curve import CURVE
from interventional.scm.shrinkage import KINDS, SIZED, VARYING
from interventional.scm.surface_priors import SurfacePriors

if TYPE_CHECKING:
    from pymc_extras.prior import Prior

# The parameters that move a distribution along the line. The prior of an intercept must have some:
# it is stated where the predictors are at their means, and holds at zero after such a move.
LOCATIONS: Mapping[str, tuple[str, ...]] = {
    "Normal": ("mu",),
    "Flat": (),
    "StudentT": ("mu",),
    "Laplace": ("mu",),
    "Logistic": ("mu",),
    "Cauchy": ("alpha",),
    "Gumbel": ("mu",),
    "SkewNormal": ("mu",),
    "Uniform": ("lower", "upper"),
}
_IMPROPER = ("Flat", "HalfFlat")


@dataclass(frozen=True)
class PriorSpec:
    """A prior as a value: a distribution of PyMC, and its parameters by name.

    Attributes
    ----------
    distribution : str
        The name of the PyMC distribution.
    parameters : dict
        Arrays, or the `PriorSpec` of a parameter that is random itself.
    centered : bool
        As in `pymc_extras.prior.Prior`.
    transform : str or None
        As in `pymc_extras.prior.Prior`.
    """

    distribution: str
    parameters: "Mapping[str, Floats | PriorSpec]"
    centered: bool = True
    transform: str | None = None

    @classmethod
    def of(cls, distribution: str, **parameters: Any) -> "PriorSpec":
        """Return the prior of a distribution with known numbers."""
        return cls(
            distribution, {name: np.asarray(v, dtype=np.float64) for name, v in parameters.items()}
        )

    @classmethod
    def parse(cls, prior: object, where: str) -> "PriorSpec":
        """Read a user's `Prior` or the name of one that shrinks; refuse what is neither."""
        if isinstance(prior, str):
            if prior not in KINDS:
                raise ValueError(unknown(f"prior in {where}:", prior, KINDS))
            return cls(prior, {})
        from pymc_extras.prior import Prior

        if not isinstance(prior, Prior):
            raise TypeError(
                f"{where} must be a pymc_extras.prior.Prior or one of {listed(KINDS)}, "
                f"got {prior!r}"
            )
        parameters: dict[str, Floats | PriorSpec] = {}
        for name, value in prior.parameters.items():
            if isinstance(value, Prior):
                parameters[name] = cls.parse(value, f"{where}.{name}")
                continue
            if not isinstance(value, int | float | np.ndarray | np.number):
                raise TypeError(
                    f"{where}: parameter {name} must be a number, an array or a Prior, "
                    f"got {type(value).__name__}"
                )
            array = np.asarray(value, dtype=np.float64)
            if not np.isfinite(array).all():
                raise ValueError(f"{where}: parameter {name} must be finite, got {value}")
            sizes = np.abs(array[array != 0])
            if ((sizes > LARGEST) | (sizes < SMALLEST)).any():
                raise ValueError(
                    f"{where}: parameter {name} must be 0, or lie between {SMALLEST:g} and "
                    f"{LARGEST:g} in size, got {value}"
                )
            parameters[name] = array
        return cls(prior.distribution, parameters, prior.centered, prior.transform)

    @property
    def is_plain(self) -> bool:
        """Whether this is one distribution whose parameters are numbers."""
        random = any(isinstance(value, PriorSpec) for value in self.parameters.values())
        made = (*KINDS, CURVE, VARYING)
        return not random and self.transform is None and self.distribution not in made

    @property
    def fixed(self) -> float | None:
        """The number that it has for a parameter, as DiracDelta; None for a distribution."""
        if self.distribution != "DiracDelta" or not self.is_plain:
            return None
        return float(self.parameters["c"])  # type: ignore[arg-type]

    @property
    def is_improper(self) -> bool:
        """Whether it is no distribution, or that of a parameter is none: nothing can be drawn."""
        inner = [value for value in self.parameters.values() if isinstance(value, PriorSpec)]
        return self.distribution in _IMPROPER or any(value.is_improper for value in inner)

    @property
    def learns_scale(self) -> bool:
        """Whether this is Normal given one standard deviation that is learnt from the data."""
        if self.distribution == "ridge":
            return True
        sigma = self.parameters.get("sigma")
        others = [value for name, value in self.parameters.items() if name != "sigma"]
        return (
            self.distribution == "Normal"
            and self.transform is None
            and isinstance(sigma, PriorSpec)
            and sigma.is_plain
            and not any(leaf.ndim for leaf in sigma.leaves().values())
            and not any(isinstance(other, PriorSpec) for other in others)
        )

    @property
    def n_groups(self) -> int:
        """How many groups there are whose coefficients differ; 0 if none differ."""
        return int(self.parameters["groups"]) if self.distribution == VARYING else 0  # type: ignore[arg-type]

    @property
    def of_effects(self) -> "tuple[PriorSpec, ...]":
        """The priors of the standard deviations of what differs between groups, one an effect."""
        sd, unit = self.parameters["sd"], self.parameters["unit"]
        assert isinstance(sd, PriorSpec)
        found = []
        for k in range(np.size(unit)):  # type: ignore[arg-type]
            own = {name: v if np.ndim(v) == 0 else v[k] for name, v in sd.parameters.items()}  # type: ignore[arg-type,index]
            found.append(PriorSpec.of(sd.distribution, **own))
        return tuple(found)

    def location_and_unit(self, size: int) -> tuple[Floats, Floats]:
        """Return the mean of a Normal with a learnt scale, and its sd in units of that scale."""
        if self.distribution == "Normal":
            mu = np.asarray(self.parameters.get("mu", 0.0), dtype=np.float64)
            return np.broadcast_to(mu, size), np.ones(size)
        x_scale, y_scale = (np.asarray(self.parameters[key]) for key in ("x_scale", "y_scale"))
        return np.zeros(size), y_scale / x_scale * np.ones(size)

    @property
    def is_normal(self) -> bool:
        """Whether this is a Normal distribution whose parameters are numbers."""
        return self.is_plain and self.distribution == "Normal"

    @property
    def bounds(self) -> bool:
        """Whether this is one of `BOUNDED` that has no pole, with numbers for parameters."""
        if not self.is_plain or self.distribution not in BOUNDED:
            return False
        size = max((leaf.size for leaf in self.leaves().values()), default=1)
        return bool(np.all(Bounds.of(self.distribution, self.parameters, size).power >= 0))

    @property
    def skeleton(self) -> Hashable:
        """What remains when the numbers are taken out."""
        parts = tuple(
            (name, value.skeleton if isinstance(value, PriorSpec) else value.ndim)
            for name, value in sorted(self.parameters.items())
        )
        return (self.distribution, self.centered, self.transform, self.n_groups, parts)

    def leaves(self, path: str = "") -> dict[str, Floats]:
        """Return the numbers by path: ``{"_sigma": 1.0}``."""
        found: dict[str, Floats] = {}
        for name, value in self.parameters.items():
            here = f"{path}_{name}"
            found |= value.leaves(here) if isinstance(value, PriorSpec) else {here: value}
        return found

    def create(
        self,
        name: str,
        leaf: Callable[[str], Any],
        dims: str | None = None,
        noise: Any = None,
        by: Any = None,
        *,
        whitened: bool = False,
    ) -> Any:
        """Add a variable with this prior to the PyMC model in context.

        Parameters
        ----------
        name : str
            The name of the variable.
        leaf : callable
            Returns what stands for the number at a path.
        dims : str, optional
            The dimension of a vector whose elements are independent given the parameters.
        noise : tensor, optional
            The standard deviation of the residuals, which some priors of coefficients refer to.
        by : tensor, optional
            How much more the variable is than this prior, one of `LOCATIONS`, has it.
        whitened : bool, default False
            Whether coefficients that are Gaussian together are made of independent ones, which
            samplers like better.
        """
        import pymc as pm
        import pytensor.tensor as pt

        if self.distribution == CURVE:
            return _on_curves(name, leaf("_root"), dims, whitened=whitened)
        if self.distribution == VARYING:
            assert dims is not None
            return self._varying(name, leaf, dims, leaf("_noise") if noise is None else noise)
        if self.fixed is not None and dims is None:  # samplers take it as known
            return pm.Deterministic(name, pt.as_tensor(leaf("_c")))
        if self.distribution in KINDS:
            from interventional.scm import shrinkage

            add = getattr(shrinkage, self.distribution)
            noise = leaf("_noise") if noise is None else noise
            return add(name, leaf("_x_scale"), leaf("_y_scale"), noise, leaf("_n"), dims)
        if by is None and not (self.is_plain and self.centered):
            return self.prior(leaf, dims).create_variable(name)
        parameters = {}
        for key, value in self._filled(leaf).items():
            random = isinstance(self.parameters[key], PriorSpec)
            parameters[key] = value.create_variable(f"{name}_{key}") if random else value
        for location in () if by is None else LOCATIONS[self.distribution]:
            default = 1.0 if (self.distribution, location) == ("Uniform", "upper") else 0.0
            parameters[location] = parameters.get(location, default) + by
        return getattr(pm, self.distribution)(name, **parameters, dims=dims)

    def _varying(self, name: str, leaf: Callable[[str], Any], dims: str, noise: Any) -> Any:
        """Add coefficients that differ between groups to the PyMC model in context."""
        import pymc as pm
        import pytensor.tensor as pt

        from interventional.scm.shrinkage import varying

        spec, size = self.parameters["sd"], np.size(self.parameters["unit"])  # type: ignore[arg-type]
        assert isinstance(spec, PriorSpec)
        effect = f"{dims.removesuffix('_term')}_effect"

        def sd(called: str) -> Any:
            numbers = spec._filled(leaf, "_sd")
            return getattr(pm, spec.distribution)(called, **numbers, dims=effect)

        unit = leaf("_unit")
        error = noise / pt.sqrt(leaf("_rows")) * unit / unit[0]
        return varying(name, sd, size, self.n_groups, error, dims)

    def prior(
        self, leaf: Callable[[str], Any], dims: str | None = None, path: str = ""
    ) -> "Prior":
        """Return the `Prior` that has ``leaf(path)`` in the place of each number."""
        from pymc_extras.prior import Prior

        return Prior(
            self.distribution,
            dims=dims,
            centered=self.centered,
            transform=self.transform,
            **self._filled(leaf, path),
        )

    def _filled(self, leaf: Callable[[str], Any], path: str = "") -> dict[str, Any]:
        """Return the parameters: what stands for numbers, and a `Prior` for what is random."""
        found = {}
        for name, value in self.parameters.items():
            at = f"{path}_{name}"
            found[name] = value.prior(leaf, path=at) if isinstance(value, PriorSpec) else leaf(at)
        return found

    def __str__(self) -> str:
        parts = [repr(self.distribution), *(f"{k}={v}" for k, v in self.parameters.items())]
        return f"Prior({', '.join(parts)})"


@dataclass(frozen=True)
class Group:
    """Terms whose coefficients share one prior.

    Attributes
    ----------
    name : str
        What the group is called: ``"normal"``, ``"flat"``, ``"curve"``, or the key of the user's
        prior.
    prior : PriorSpec
        The prior of each coefficient; array-valued parameters have one value a term.
    terms : tuple of int
        Positions of the terms.
    """

    name: str
    prior: PriorSpec
    terms: tuple[int, ...]


@dataclass(frozen=True)
class EquationPriors:
    """The priors of one equation.

    Attributes
    ----------
    groups : tuple of Group
        Those of the coefficients.
    intercept : PriorSpec or None
        That of the intercept; None where there is none.
    dispersion : mapping
        Those of the parameters that the family has besides, by name.
    surface : SurfacePriors or None
        Those of what bends, where anything does.
    """

    groups: tuple[Group, ...]
    intercept: PriorSpec | None
    dispersion: Mapping[str, PriorSpec]
    surface: SurfacePriors | None = None

    @property
    def sigma(self) -> PriorSpec | None:
        """The prior of sigma; None where there is none."""
        return self.dispersion.get("sigma")

    @property
    def fixed_sigma(self) -> float | None:
        """The number that sigma is fixed at; None where it is learnt, or there is none."""
        return None if self.sigma is None else self.sigma.fixed

    @property
    def skeleton(self) -> Hashable:
        """What stays the same when the numbers in the priors change, and that of the terms.

        It holds the terms where that of the numbers is not all: priors that are written for so
        many, and the order of several groups.
        """
        sized = (*SIZED, VARYING)
        fixed = len(self.groups) > 1 or any(g.prior.distribution in sized for g in self.groups)
        return (
            tuple((g.name, g.prior.skeleton, fixed and g.terms) for g in self.groups),
            None if self.intercept is None else self.intercept.skeleton,
            tuple((name, prior.skeleton) for name, prior in self.dispersion.items()),
        )

    @property
    def learning(self) -> Group | None:
        """The first group whose prior is Normal with a standard deviation that is learnt."""
        return next((group for group in self.groups if group.prior.learns_scale), None)

    @property
    def varying(self) -> tuple[Group, ...]:
        """The groups of coefficients that differ between groups of rows."""
        return tuple(group for group in self.groups if group.prior.n_groups)

    @property
    def learnt(self) -> list[str]:
        """The names of what has scales that are learnt, as the exact engine can."""
        known = (g for g in self.groups if g.prior.learns_scale or g.prior.n_groups)
        return [group.name for group in known]

    @property
    def bounding(self) -> list[str]:
        """The names of what has priors that bound, the intercept among them."""
        found = [group.name for group in self.groups if group.prior.bounds]
        bounded = self.intercept is not None and self.intercept.bounds
        return [*found, "intercept"] if bounded else found

    @property
    def shrinks(self) -> bool:
        """Whether any prior has a geometry that takes NUTS small steps."""
        return any(
            not group.prior.is_plain and group.prior.distribution != CURVE for group in self.groups
        )

    @property
    def conjugacy_obstacle(self) -> str | None:
        """Say what keeps the exact engine from these priors; None if nothing does."""
        for group in self.groups:
            learns = group.prior.learns_scale or group.prior.n_groups
            known = group.name in ("normal", "flat", CURVE) or group.prior.bounds
            if not learns and not known:
                return f"the prior of {group.name!r} is {group.prior}"
        intercept = self.intercept
        if intercept is not None and not (
            intercept.is_normal or intercept.distribution == "Flat" or intercept.bounds
        ):
            return f"the prior of the intercept is {intercept}"
        if self.sigma is not None and not self.sigma.is_plain:
            return f"the prior of sigma is not one distribution with known numbers: {self.sigma}"
        if self.bounding and self.learnt:
            first, second = self.bounding[0], self.learnt[0]
            return f"the prior of {first!r} bounds, that of {second!r} learns a scale"
        return None


def _on_curves(name: str, root: Any, dims: str | None, *, whitened: bool) -> Any:
    """Add coefficients of terms that are Gaussian together, in each block alike."""
    import pymc as pm

    if whitened:
        raw = pm.Normal(f"{name}_raw", 0.0, 1.0, dims=dims)
        beta = (raw.reshape((-1, root.shape[0])) @ root.T).ravel()
        return pm.Deterministic(name, beta, dims=dims)
    of_all = np.kron(np.eye(len(pm.modelcontext(None).coords[dims]) // len(root)), root)

    def multiplied(of_all: Any, size: Any) -> Any:
        return of_all @ pm.Normal.dist(0.0, 1.0, shape=of_all.shape[:1])

    return pm.CustomDist(name, of_all, dist=multiplied, signature="(n,n)->(n)", dims=dims)


def normal_parameters(prior: PriorSpec, size: int, what: str) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of a Normal prior, one of each a term."""
    parameters = {name: np.asarray(value) for name, value in prior.parameters.items()}
    mu = parameters.get("mu", np.zeros(()))
    sigma = parameters.get("sigma", np.ones(()))
    if "tau" in parameters:
        sigma = 1 / np.sqrt(parameters["tau"])
    if not np.all(sigma > 0):
        raise ValueError(f"the prior of {what!r} needs sigma > 0, got {prior}")
    return one_each(mu, size, what), one_each(sigma, size, what)


def is_pooling(prior: object) -> bool:
    """Whether a prior, if it is that of levels, makes them share a scale that is learnt."""
    parameters = getattr(prior, "parameters", {})
    return any(hasattr(value, "parameters") for value in parameters.values())


def one_each(value: Floats, size: int, what: str) -> Floats:
    """Return the numbers of a prior, one a term."""
    if value.ndim > 1 or (value.ndim == 1 and value.shape != (size,)):
        raise ValueError(f"the prior of {what!r} has shape {value.shape}, but {size} terms")
    return np.broadcast_to(value, (size,))
