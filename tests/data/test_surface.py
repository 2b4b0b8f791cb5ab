import numpy as np
import pandas as pd
import pytest
from conftest import N_STANDARD_ERRORS
from sklearn.gaussian_process.kernels import Matern

from interventional.data.schema import Schema
from interventional.data.smooth import SmoothDesign, merged
from interventional.data.surface import LANDMARKS, alike


def frame(n, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": rng.uniform(5, 9, size=n),
            "kind": rng.choice(["u", "v", "w"], n),
            "t": (rng.random(n) < 0.4).astype(float),
            "dose": rng.exponential(size=n),
        }
    )


def designed(X, treated=("t",)):
    schema = Schema.of(X)
    values = schema.encode(X)
    return SmoothDesign.of(schema, treated, values, None), values


def some_node(surface, seed=1):
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.5, 1.5, len(surface.components))
    return scale, rng.uniform(1, 3, len(surface.lengths))


def by_hand(X, kind, lengths, columns):
    """The kernel of standardised numbers and indicators of levels, by scikit-learn."""
    parts, own = [], []
    for name, length in zip(columns, lengths, strict=True):
        column = X[name]
        if name == "kind":
            parts += [(column == level).astype(float) for level in "uvw"]
            own += [length] * 3
        else:
            parts.append((column - column.mean()) / column.std(ddof=0))
            own.append(length)
    Z = np.column_stack(parts)
    return kind(Z, np.array(own))


def test_the_sum_is_what_is_written_of_it():
    X = frame(60)
    design, values = designed(X)
    surface = design.surface
    names = [part.name for part in surface.components]
    assert names == ["surface", "t:line", "t:surface", "expected"]
    assert surface.lengths[:4] == ("a", "b", "kind", "dose")
    assert surface.lengths[4] == "t|"  # what t is expected to be
    assert surface.lengths[5:] == ("t:a", "t:b", "t:kind", "t:dose")
    scale, length = some_node(surface)
    rows = surface.inputs(values)
    effect = by_hand(
        X, lambda Z, own: Matern(own, nu=2.5)(Z), length[5:], ["a", "b", "kind", "dose"]
    )
    u = X["t"].to_numpy() - 0.5
    np.testing.assert_allclose(
        surface.kernel([2], rows, rows, scale, length),
        scale[2] ** 2 * np.outer(u, u) * effect,
        atol=1e-10,
    )
    np.testing.assert_allclose(
        surface.variance([0, 2], rows, scale),
        np.diag(surface.kernel([0, 2], rows, rows, scale, length)),
        atol=1e-10,
    )
    lines = by_hand(X, lambda Z, _: Z, np.ones(4), ["a", "b", "kind", "dose"])
    centred = lines - lines.mean(axis=0)  # indicators too
    of_effects = scale[1] * u[:, None] * centred
    expected = scale[3] * rows.features[:, -1:]  # the last feature is what t is expected to be
    np.testing.assert_allclose(
        surface.lines(rows, scale), np.hstack([of_effects, expected]), atol=1e-10
    )


def test_treatments_about_their_middle():
    X = frame(200)
    design, values = designed(X, ("t", "kind", "dose"))
    surface = design.surface
    names = [part.name for part in surface.components]
    expected = ["surface", "expected"]
    for name in ("kind", "t"):
        expected += [f"{name}:line", f"{name}:surface"]
    assert set(names) == {*expected, "dose", "dose:line", "dose:surface"}
    by_column = {treatment.j: treatment for treatment in surface.treatments}
    products = {j: t.about_middle(values) @ t.about_middle(values).T for j, t in by_column.items()}
    t = X["t"].to_numpy()
    np.testing.assert_allclose(products[3], np.where(t[:, None] == t, 0.25, -0.25))
    kind = X["kind"].to_numpy()
    # of two levels the same would be 1/4 and -1/4, too
    np.testing.assert_allclose(products[2], np.where(kind[:, None] == kind, 1 / 3, -1 / 6))
    dose = (X["dose"] - X["dose"].mean()) / X["dose"].std(ddof=0)
    np.testing.assert_allclose(products[4], np.outer(dose, dose), atol=1e-10)
    of_surface = surface.components[0]
    assert not {0, 1}.isdisjoint(of_surface.features)  # a and b, but no treatment
    own = {surface.columns[k][0] for k in of_surface.features if k < len(surface.columns)}
    assert own == {0, 1}


@pytest.mark.parametrize("n", [80, LANDMARKS + 60])
def test_weights_of_normal_numbers_have_the_kernel(n):
    """At landmarks exactly; elsewhere as good as the waves are, which many seeds would average."""
    X = frame(n)
    design, _ = designed(X)
    surface = design.surface
    assert surface.are_all == (n <= LANDMARKS)
    scale, length = some_node(surface)
    rng = np.random.default_rng(2)
    weights = surface.weights(rng.standard_normal((4000, sum(surface.width))), scale, length)
    at = surface.landmarks.take(np.arange(12))
    of = scale, length
    terms = [surface.lines(at, scale)]
    terms += [surface.kernel(block, at, surface.landmarks, *of) for block in surface.blocks]
    terms += [surface.waves(block, at, *of) for block in surface.blocks]
    drawn = weights @ np.hstack(terms).T
    lines = surface.lines(at, scale)
    bending = [c for c, _ in surface.bending]
    expected = surface.kernel(bending, at, at, *of) + lines @ lines.T
    found = drawn.T @ drawn / len(drawn)
    variance = np.diag(expected)
    error = np.sqrt((np.outer(variance, variance) + expected**2) / len(drawn))
    assert (np.abs(found - expected) / error).max() < N_STANDARD_ERRORS


def test_far_away_all_is_open():
    X = frame(80)
    design, values = designed(X)
    surface = design.surface
    scale, length = some_node(surface)
    far = values[:5].copy()
    far[:, :2] += 1e4
    noise = np.random.default_rng(3).standard_normal((4000, sum(surface.width)))
    lines = surface.width[0]
    noise[:, :lines] = 0.0  # which grow without bound
    weights = surface.weights(noise, scale, length)
    drawn = surface.at(
        far, *(np.broadcast_to(v, (4000, len(v))) for v in (scale, length)), weights
    )
    expected = surface.variance([0, 2], surface.inputs(far), scale)
    found = drawn.var(axis=0)
    assert (np.abs(found / expected - 1) < N_STANDARD_ERRORS * np.sqrt(2 / 4000)).all()


def test_a_component_that_is_off_is_nothing():
    X = frame(60)
    design, values = designed(X)
    surface = design.surface
    scale, length = some_node(surface)
    off = np.zeros_like(scale)
    noise = np.random.default_rng(4).standard_normal((3, sum(surface.width)))
    weights = surface.weights(noise, off, length)
    of = (np.broadcast_to(v, (3, len(v))) for v in (off, length))
    np.testing.assert_array_equal(surface.at(values, *of, weights), 0.0)


def test_moving_and_scaling_columns_changes_nothing():
    X = frame(70)
    moved = X.assign(a=3 - 100 * X["a"], t=5 + 2 * X["t"], dose=1000 * X["dose"] + 7)
    design, values = designed(X, ("t", "dose"))
    other, others = designed(moved, ("t", "dose"))
    scale, length = some_node(design.surface)
    blocks = design.surface.blocks

    def covariance(surface, rows):
        at = surface.inputs(rows)
        return surface.kernel(blocks[0], at, at, scale, length)

    found = covariance(other.surface, others)
    np.testing.assert_allclose(found, covariance(design.surface, values), atol=1e-6)


def test_draws_that_are_alike_go_together():
    scale = np.array([[1.0], [2.0], [1.0], [1.0]])
    length = np.array([[1.0], [1.0], [1.0], [3.0]])
    sets = sorted(tuple(each) for each in alike(scale, length))
    assert sets == [(0, 2), (1,), (3,)]


def test_rows_that_are_the_same_are_one():
    rows = np.array([[1.0, 2.0], [0.0, 1.0], [1.0, 2.0]])
    distinct, codes, counts = merged(rows, None)
    np.testing.assert_array_equal(distinct, [[0, 1], [1, 2]])
    np.testing.assert_array_equal(codes, [1, 0, 1])
    np.testing.assert_array_equal(counts, [1, 2])
    _, _, weighted = merged(rows, np.array([0.5, 2.0, 3.0]))
    np.testing.assert_array_equal(weighted, [2.0, 3.5])


def test_a_treatment_that_nobody_varies_is_none():
    X = frame(40).assign(t=1.0)
    design, _ = designed(X)
    assert design.surface.treatments == ()
