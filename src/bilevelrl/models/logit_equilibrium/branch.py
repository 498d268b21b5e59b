"""The principal branch of logit equilibria, from uniform play down to a temperature.

Source: McKelvey and Palfrey 1995: as temperatures fall from infinity, the one equilibrium that is
there moves along a curve, whose limit selects a Nash equilibrium. The curve may turn back, where
more equilibria are born; pseudo-arclength continuation follows it around (Turocy 2005).
"""

import numpy as np

from bilevelrl.core.compilation import kernel
from bilevelrl.models.logit_equilibrium.stage import choose, couple, expect, newton, solve

#: Steps along a curve, and of Newton's method back to it after each.
POINTS, CORRECTIONS = 2000, 6
#: Length of a step at first, at most and at least, in shares of all utility and e-folds of β.
FIRST, LONGEST, SHORTEST = 0.3, 1.0, 1e-7
#: Least cosine of the directions before and after a step.
STRAIGHT = 0.8
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
    first = max(0.0, np.log(4.0 * scale / temperature.min()))
    rough = max(tolerance, ROUGH * scale)
    residual, steps = newton(utility, np.exp(first) * temperature, actions, rough, quality)
    policy, expected = np.empty((players, own)), np.empty((players, own))
    matrix, right = np.empty((size + 1, size + 1)), np.zeros((size + 1, 1))
    point, tangent = np.empty(size + 1), np.zeros(size + 1)
    point[:size], point[size], tangent[size] = quality.reshape(size) / scale, first, -1.0
    length = FIRST
    for _ in range(POINTS):
        if point[size] <= 0.0:
            break
        _system(utility, temperature, actions, point, scale, tangent, policy, expected, matrix)
        right[:size], right[size] = 0.0, 1.0
        if not solve(matrix, right):
            break
        direction = right[:, 0] / np.sqrt((right[:, 0] ** 2).sum())
        while length >= SHORTEST:
            trial = point + length * direction
            arrived, taken = _corrected(
                utility, temperature, actions, trial, scale, direction, policy, expected, matrix,
                rough / scale,
            )  # fmt: skip
            steps += taken
            if arrived:
                chord = trial - point
                bent = (chord * direction).sum() / np.sqrt((chord**2).sum())
                _system(
                    utility, temperature, actions, trial, scale, direction, policy, expected, matrix
                )
                right[:size], right[size] = 0.0, 1.0
                arrived = bent > STRAIGHT and solve(matrix, right)
                arrived = arrived and 1.0 / np.sqrt((right[:, 0] ** 2).sum()) > STRAIGHT
            if arrived and trial[size] <= 0.0:
                share = point[size] / (point[size] - trial[size])
                crossing = (1.0 - share) * point[:size] + share * trial[:size]
                quality[:] = scale * crossing.reshape(players, own)
                residual, taken = newton(utility, temperature, actions, tolerance, quality)
                steps += taken
                gap = np.abs(quality.reshape(size) / scale - crossing).max()
                if residual <= tolerance and gap <= length:
                    return residual, steps
                arrived = False
            if arrived:
                point[:], tangent[:] = trial, direction
                length = min(LONGEST, 1.5 * length)
                break
            length *= 0.5
        else:
            break
    quality[:] = scale * point[:size].reshape(players, own)
    residual, taken = newton(utility, temperature, actions, tolerance, quality)
    return residual, steps + taken


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
        if not solve(matrix, right):
            return False, taken
        trial += right[:, 0]
    return False, CORRECTIONS
