"""The principal branch of logit equilibria, from uniform play down to a temperature.

Source: McKelvey and Palfrey 1995: as temperatures fall from infinity, the one equilibrium that is
there moves along a curve, whose limit selects a Nash equilibrium. The curve may turn back, where
more equilibria are born; pseudo-arclength continuation follows it around (Turocy 2005). Near games
whose players could change places, another curve is close by; a step that ends there is told by the
sign of the determinant, and made shorter.
"""

import numpy as np

from bilevelrl.core.compilation import kernel
from bilevelrl.models.logit_equilibrium.stage import choose, couple, expect, newton, solve

#: Steps along a curve, and of Newton's method back to it after each.
POINTS, CORRECTIONS = 2000, 6
#: Length of a step at first, at most and at least, in shares of all utility and e-folds of β.
FIRST, LONGEST, SHORTEST = 0.3, 0.5, 1e-7
#: Least cosine of the directions before and after a step.
STRAIGHT = 0.9
#: How far a step may end from where it led to, as a share of its length.
ASIDE = 0.2
#: Accuracy of points on the way, as a share of all utility.
ROUGH = 1e-6


@kernel
def _system(utility, temperature, actions, point, scale, tangent, policy, expected, matrix):  # type: ignore[no-untyped-def]
    # Residual of the equilibrium in `expected`, and its derivative by (Q / scale, log factor), the
    # tangent below it.
    players, own = policy.shape
    size = players * own
    quality = scale * point[:size].reshape(players, own)
    factor = np.exp(point[size])
    choose(quality, factor * temperature, policy)
    coupling = np.empty((size, size))
    couple(utility, policy, factor * temperature, actions, expected, coupling)
    residual = (expected - quality).reshape(size) / scale
    flat = point[:size]
    for i in range(size):
        moved = 0.0
        for k in range(size):
            moved += coupling[i, k] * flat[k]
            matrix[i, k] = -coupling[i, k]
        matrix[i, i] += 1.0
        matrix[i, size] = moved
    matrix[size] = tangent
    return residual


@kernel
def follow_branch(utility, temperature, actions, tolerance, quality):  # type: ignore[no-untyped-def]
    """The equilibrium at which the principal branch first comes to `temperature`, shape (N,).

    Args:
        utility: u_i of every joint action, shape (N, A^N).
        temperature: β of the players; the branch has multiples of them.
        actions: see `stochastic_game.actions_of`.
        tolerance: of the residual.
        quality: Q, shape (N, A); overwritten.

    Returns:
        The residual, above the tolerance where the branch got lost, and the number of steps.
    """
    players, own = quality.shape
    size = players * own
    scale = 0.0
    for i in range(players):
        scale = max(scale, utility[i].max() - utility[i].min())
    expect(utility, np.full((players, own), 1.0 / own), actions, quality)
    if scale == 0.0:
        return newton(utility, temperature, actions, tolerance, quality)
    # From there on up all |K| add up to less than 1 in every row: there is one equilibrium.
    first = max(0.0, np.log(0.5 * (players - 1) * scale / temperature.min()))
    rough = max(tolerance, ROUGH * scale)
    residual, steps = newton(utility, np.exp(first) * temperature, actions, rough, quality)
    policy, expected = np.empty((players, own)), np.empty((players, own))
    matrix, right = np.empty((size + 1, size + 1)), np.zeros((size + 1, 1))
    point, tangent = np.empty(size + 1), np.zeros(size + 1)
    point[:size], point[size], tangent[size] = quality.reshape(size) / scale, first, -1.0
    length = FIRST
    sign = _direction(
        utility, temperature, actions, point, scale, tangent, policy, expected, matrix, right
    )
    for _ in range(POINTS):
        if point[size] <= 0.0 or sign == 0.0 or length < SHORTEST:
            break
        direction = right[:, 0] / np.sqrt((right[:, 0] ** 2).sum())
        trial = point + length * direction
        arrived, taken = _corrected(
            utility, temperature, actions, trial, scale, direction, policy, expected, matrix,
            rough / scale,
        )  # fmt: skip
        steps += taken
        if arrived:
            aside = trial - point - length * direction
            arrived = np.sqrt((aside**2).sum()) < ASIDE * length
        if arrived and trial[size] <= 0.0:
            share = point[size] / (point[size] - trial[size])
            crossing = (1.0 - share) * point[:size] + share * trial[:size]
            quality[:] = scale * crossing.reshape(players, own)
            residual, taken = newton(utility, temperature, actions, tolerance, quality)
            steps += taken
            gap = np.abs(quality.reshape(size) / scale - crossing).max()
            if residual <= tolerance and gap <= ASIDE * length:
                return residual, steps
            arrived = False
        if arrived:
            ahead = np.empty((size + 1, 1))
            same = sign == _direction(
                utility, temperature, actions, trial, scale, direction, policy, expected, matrix,
                ahead,
            )  # fmt: skip
            arrived = same and STRAIGHT * np.sqrt((ahead**2).sum()) < 1.0
        if arrived:
            point[:], right[:] = trial, ahead
            length = min(LONGEST, 2.0 * length)
        else:
            length *= 0.5
    quality[:] = scale * point[:size].reshape(players, own)
    residual, taken = newton(utility, temperature, actions, tolerance, quality)
    return residual, steps + taken


@kernel
def _direction(  # type: ignore[no-untyped-def]
    utility, temperature, actions, point, scale, before, policy, expected, matrix, direction
):
    # The direction of the curve, whose product with the one before is 1; and the sign of the
    # system's determinant, which is the same all along a curve.
    _system(utility, temperature, actions, point, scale, before, policy, expected, matrix)
    direction[:] = 0.0
    direction[-1] = 1.0
    return solve(matrix, direction)


@kernel
def _corrected(  # type: ignore[no-untyped-def]
    utility, temperature, actions, trial, scale, tangent, policy, expected, matrix, rough
):
    # Newton's method in the plane through `trial` across the tangent; whether it came to the curve.
    size = len(trial) - 1
    right = np.empty((size + 1, 1))
    for taken in range(CORRECTIONS):
        right[:size, 0] = _system(
            utility, temperature, actions, trial, scale, tangent, policy, expected, matrix
        )
        if np.abs(right[:size, 0]).max() <= rough:
            return True, taken
        right[size] = 0.0
        if solve(matrix, right) == 0.0:
            return False, taken
        trial += right[:, 0]
    return False, CORRECTIONS
