"""Structural equations as a PyMC model.

`generative_model` is the textbook model of some rows, one named variable a column; `pm.observe`
makes it the model of data, `pm.do` the model of an intervention.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from interventional.data.design import TreatmentCoding
from interventional.data.schema import Schema
from interventional.data.smooth import Design, SmoothDesign
from interventional.numbers import Floats
from interventional.scm.equations import Equation, Regeneration, StructuralModel, with_errors
from interventional.scm.naming import LABELS

if TYPE_CHECKING:
    import pymc as pm


def generative_model(
    model: StructuralModel,
    values: Floats,
    index: Sequence[Any] | None = None,
    how: Mapping[str, Regeneration] | None = None,
) -> "pm.Model":
    """Return the textbook model of some rows, with nothing observed.

    Parameters
    ----------
    model : StructuralModel
        The equations.
    values : ndarray of shape (n, columns)
        Encoded rows. Each column becomes a variable of its name: data, or, where it has an
        equation, random. One that is missing and enters nothing is left out.
    index : sequence, optional
        Labels of the rows. Without them the number of rows stays a variable of the model.
    how : mapping, optional
        What stands for a node in the equations of others: by default the node itself.
    """
    import pymc as pm
    import pytensor

    names = model.schema.names
    left_out = {equation.node for equation in model.equations}
    read = model.read_by_any | {model.of_outcome.noise}
    left_out |= {n for j, n in enumerate(names) if j not in read and np.isnan(values[:, j]).any()}
    with pm.Model() as built:
        rows = None if index is not None else pytensor.shared(len(values), name="n_obs")
        built.add_coord("obs", index, length=rows)
        variables = {
            name: _column(built, model.schema, j, values[:, j], is_known=index is not None)
            for j, name in enumerate(names)
            if name not in left_out
        }
        for equation in model.equations:
            for j, variable in zip(equation.columns, equation.variables, strict=True):
                if variable not in variables:  # a factual value
                    variables[variable] = pm.Data(variable, values[:, j], dims="obs")
            columns = [variables[variable] for variable in equation.variables]
            exposure = None if equation.exposure is None else variables[names[equation.exposure]]
            errors = None if equation.noise is None else variables[names[equation.noise]]
            regenerated = (how or {}).get(equation.node)
            variables[equation.node] = _add_equation(
                equation, columns, exposure, errors, regenerated
            )
    return built


def _column(built: "pm.Model", schema: Schema, j: int, values: Floats, *, is_known: bool) -> Any:
    """Add a column to the model in context; where rows are known, with the labels of levels."""
    import pymc as pm

    name, levels = schema.names[j], schema.levels[j]
    if levels is not None and is_known:
        built.add_coord(f"{name}{LABELS}", [*levels])
    return pm.Data(name, values, dims="obs")


def observed_rows(
    built: "pm.Model", model: StructuralModel, values: Floats, target: Floats
) -> "pm.Model":
    """Return the model of some rows with the outcome, and each node with an equation, observed."""
    import pymc as pm

    names = model.schema.names
    observed = {e.node: values[:, names.index(e.node)] for e in model.equations[:-1]}
    observed[model.outcome] = target
    return pm.observe(
        built, {node: column.astype(built[node].dtype) for node, column in observed.items()}
    )


def _add_equation(
    equation: Equation, columns: list[Any], exposure: Any, errors: Any, how: Regeneration | None
) -> Any:
    """Add an equation to the model in context; return what stands for its node elsewhere."""
    import pymc as pm
    import pytensor.tensor as pt

    name = equation.node
    add_coords(pm.modelcontext(None), equation)
    to_zero, numbers = pt.as_tensor(-equation.center), prior_numbers(equation)
    beta, intercept, dispersion = add_parameters(equation, to_zero, numbers.__getitem__)
    matrix = design_tensor(equation.design, columns or [errors if exposure is None else exposure])
    predictor = linear_predictor(equation, matrix, beta)
    if equation.surface is not None:
        predictor += _add_surface(equation, columns)
    if intercept is not None:
        predictor += intercept
    if exposure is not None:
        predictor += pt.log(exposure)
    if errors is not None:
        dispersion = with_errors(dispersion, errors)
    record = equation.record
    mean = record.mean_tensor(predictor, dispersion)
    mu = pm.Deterministic(f"{name}_mu", mean, dims=("obs", f"{name}_level")[: mean.ndim])
    add = record.drawn if how == "draw" else record.variable
    drawn = add(name, predictor, dispersion, dims="obs")
    if how == "residual":
        return record.with_residual(mu, pm.Data(f"{name}_residual", np.zeros(1), dims="obs"))
    return mu if how == "mean" else drawn.astype("float64")


def _add_surface(equation: Equation, columns: list[Any]) -> Any:
    """Add what bends in an equation to the model in context; return it at the rows."""
    import pymc as pm
    import pytensor.tensor as pt

    from interventional.scm.surface_op import SurfaceOp, WeightsOp

    name, surface, priors = equation.node, equation.surface, equation.priors.surface
    assert surface is not None
    assert priors is not None
    odds = np.array(list(priors.odds.values()))
    form = pm.Categorical(f"{name}_form", odds / odds.sum())
    dims = {ending: f"{name}_{ending}" for ending in ("component", "range", "weight")}
    log_scale, log_length = np.log(priors.scale), np.log(priors.length)
    swell = pm.Normal(f"{name}_swell", 0.0, 1.0, dims=dims["component"])
    on = pt.as_tensor(np.array(list(priors.odds), dtype=float))
    scale = pm.Deterministic(
        f"{name}_scale",
        on[form] * pt.exp(log_scale + priors.spread * swell),
        dims=dims["component"],
    )
    stretch = pm.Normal(f"{name}_stretch", 0.0, 1.0, dims=dims["range"])
    length = pt.exp(log_length + pt.dot(priors.root, stretch))
    length = pm.Deterministic(f"{name}_length", length, dims=dims["range"])
    noise = pm.Normal(f"{name}_noise", 0.0, 1.0, dims=dims["weight"])
    weights = WeightsOp(surface)(noise, scale, length)
    weights = pm.Deterministic(f"{name}_weights", weights, dims=dims["weight"])
    return SurfaceOp(surface)(*columns, scale, length, weights)


def add_coords(built: "pm.Model", equation: Equation) -> None:
    """Add the dimensions of an equation's parameters to a model."""
    built.add_coords(equation.coords)
    if equation.n_blocks > 1:
        built.add_coord(f"{equation.node}_level", [str(level) for level in equation.levels])


def linear_predictor(equation: Equation, matrix: Any, beta: Any) -> Any:
    """Return design @ beta: (n,), or (n, blocks) for three levels or more."""
    import pytensor.tensor as pt

    if equation.n_blocks == 1:
        return pt.dot(matrix, beta)
    return pt.dot(matrix, beta.reshape((equation.n_blocks, -1)).T)


def add_parameters(
    equation: Equation, shift: Any, number: Callable[[str], Any], *, whitened: bool = False
) -> tuple[Any, Any, dict[str, Any]]:
    """Add coefficients, intercept, and what the family has besides, to the model in context.

    The last comes first where the prior of the coefficients refers to sigma.

    Parameters
    ----------
    equation : Equation
        The equation.
    shift : tensor of shape (terms,)
        How much more the intercept is than its prior has it, by coefficients.
    number : callable
        Returns what stands for a number in the priors.
    whitened : bool, default False
        As in `PriorSpec.create`.
    """
    name, priors = equation.node, equation.priors

    def add_dispersion() -> dict[str, Any]:
        return {
            what: prior.create(f"{name}_{what}", _numbered(number, what))
            for what, prior in priors.dispersion.items()
        }

    dispersion = add_dispersion() if priors.shrinks else {}
    beta = _add_coefficients(equation, dispersion.get("sigma"), number, whitened=whitened)
    intercept = None
    if priors.intercept is not None:
        by = linear_predictor(equation, shift[None], beta)[0]
        dims = f"{name}_block" if equation.n_blocks > 1 else None
        leaf = _numbered(number, "intercept")
        intercept = priors.intercept.create(f"{name}_intercept", leaf, dims, by=by)
    return beta, intercept, dispersion or add_dispersion()


def _add_coefficients(
    equation: Equation, sigma: Any, number: Callable[[str], Any], *, whitened: bool
) -> Any:
    """Add the coefficients to the model in context: one vector, or one a group, joined."""
    import pymc as pm
    import pytensor.tensor as pt

    name, groups = f"{equation.node}_beta", equation.priors.groups
    if not groups:  # a lone column with a single level makes no terms
        return pm.Deterministic(name, pt.zeros(0), dims=f"{equation.node}_term")
    parts = []
    for group in groups:
        variable, leaf = equation.group_name(group), _numbered(number, f"beta_{group.name}")
        dim = equation.dim(group)
        parts.append(group.prior.create(variable, leaf, dim, sigma, whitened=whitened))
    if len(groups) == 1:
        return parts[0]
    order = np.argsort(np.concatenate([equation.members(group) for group in groups]))
    return pm.Deterministic(name, pt.concatenate(parts)[order], dims=f"{equation.node}_term")


def prior_numbers(equation: Equation) -> dict[str, Floats]:
    """Return every number in the priors of an equation by a name."""
    priors, found = equation.priors, {}
    for group in priors.groups:
        for path, value in group.prior.leaves().items():
            per_term = value.ndim == 1 and not group.prior.n_groups
            tiled = np.tile(value, equation.n_blocks) if per_term else value
            found[f"beta_{group.name}{path}"] = tiled
    for what, prior in (("intercept", priors.intercept), *priors.dispersion.items()):
        if prior is not None:
            found |= {f"{what}{path}": value for path, value in prior.leaves().items()}
    return found


def _numbered(number: Callable[[str], Any], prefix: str) -> Callable[[str], Any]:
    """Return what stands for the number at a path within a prior."""
    return lambda path: number(prefix + path)


def design_tensor(design: Design, columns: list[Any]) -> Any:
    """Return the design matrix of columns that are PyTensor vectors."""
    import pytensor.tensor as pt

    if isinstance(design, SmoothDesign):
        design = design.line
    if not isinstance(design, TreatmentCoding):
        from interventional.scm.design_op import DesignOp

        return DesignOp(design)(*columns)
    parts = []
    for j, picks in groupby(design.picks, key=itemgetter(0)):  # one comparison for all its levels
        codes, column = [code for _, code in picks], columns[j][:, None]
        parts.append(column if codes == [None] else pt.eq(column, np.array(codes, dtype=float)))
    if not parts:
        return pt.zeros((columns[0].shape[0], 0))
    return pt.concatenate([part.astype("float64") for part in parts], axis=1)
