"""One step of a stochastic game in one state: a game of its own, solved by Newton's method.

With u_i(a) what player i gets for a joint action, later values included, a logit equilibrium is

    Q_i(b) = Σ_a-i Π_j≠i π_j(a_j) u_i(b, a-i),    π_i = softmax(Q_i / β_i).

The derivative of the right side by Q is the coupling K; within a player it is 0. Newton's method
and the derivatives of the equilibrium solve systems with the same matrix, I - K.
"""

import numpy as np

from bilevelrl.core.compilation import kernel

#: Steps of Newton's method at one temperature, and halvings of one.
STEPS, HALVINGS = 60, 30
#: Damped steps before them, and the share of a whole step.
DAMPED, DAMPING = 60, 0.2


@kernel
def choose(quality, temperature, policy):  # type: ignore[no-untyped-def]
    """π_i = softmax(Q_i / β_i) into `policy`, all (N, A), β (N,)."""
    for i in range(quality.shape[0]):
        top = quality[i].max()
        total = 0.0
        for a in range(quality.shape[1]):
            policy[i, a] = np.exp((quality[i, a] - top) / temperature[i])
            total += policy[i, a]
        for a in range(quality.shape[1]):
            policy[i, a] /= total


@kernel
def soft_value(quality, temperature):  # type: ignore[no-untyped-def]
    """β log Σ_a exp(Q(a) / β) of one player, Q of shape (A,)."""
    top = quality.max()
    return top + temperature * np.log(np.exp((quality - top) / temperature).sum())


@kernel
def expect(utility, policy, actions, expected):  # type: ignore[no-untyped-def]
    """Σ_a-i Π_j≠i π_j u_i into `expected`, shape (N, A), from u (N, A^N)."""
    players = len(policy)
    expected[:] = 0.0
    for a in range(len(actions)):
        for i in range(players):
            others = 1.0
            for j in range(players):
                if j != i:
                    others *= policy[j, actions[a, j]]
            expected[i, actions[a, i]] += others * utility[i, a]


@kernel
def couple(utility, policy, temperature, actions, expected, coupling):  # type: ignore[no-untyped-def]
    """K into `coupling`, shape (N·A, N·A), and what `expect` says into `expected`.

    K((i, b), (j, c)) = π_j(c) / β_j · (E[u_i | a_i = b, a_j = c] - E[u_i | a_i = b]) for j ≠ i.
    """
    players, own = policy.shape
    expect(utility, policy, actions, expected)
    coupling[:] = 0.0
    for a in range(len(actions)):
        for i in range(players):
            for j in range(players):
                if j == i:
                    continue
                rest = 1.0
                for k in range(players):
                    if k != i and k != j:
                        rest *= policy[k, actions[a, k]]
                coupling[i * own + actions[a, i], j * own + actions[a, j]] += rest * utility[i, a]
    for i in range(players):
        for j in range(players):
            if j == i:
                continue
            for b in range(own):
                for c in range(own):
                    scale = policy[j, c] / temperature[j]
                    pair = coupling[i * own + b, j * own + c]
                    coupling[i * own + b, j * own + c] = scale * (pair - expected[i, b])


@kernel
def solve(matrix, right):  # type: ignore[no-untyped-def]
    """Solve M x = b in place of both, b of shape (n, m), by elimination with row pivots.

    Returns:
        The sign of the determinant of M, 0 if it is singular.
    """
    size, sign = len(matrix), 1.0
    for i in range(size):
        pivot = i
        for row in range(i + 1, size):
            if abs(matrix[row, i]) > abs(matrix[pivot, i]):
                pivot = row
        if not abs(matrix[pivot, i]) > 1e-300:
            return 0.0
        if matrix[pivot, i] < 0.0:
            sign = -sign
        if pivot != i:
            sign = -sign
            for k in range(size):
                matrix[i, k], matrix[pivot, k] = matrix[pivot, k], matrix[i, k]
            for k in range(right.shape[1]):
                right[i, k], right[pivot, k] = right[pivot, k], right[i, k]
        for row in range(i + 1, size):
            factor = matrix[row, i] / matrix[i, i]
            if factor != 0.0:
                for k in range(i + 1, size):
                    matrix[row, k] -= factor * matrix[i, k]
                for k in range(right.shape[1]):
                    right[row, k] -= factor * right[i, k]
    for i in range(size - 1, -1, -1):
        for k in range(right.shape[1]):
            total = right[i, k]
            for later in range(i + 1, size):
                total -= matrix[i, later] * right[later, k]
            right[i, k] = total / matrix[i, i]
    return sign


@kernel
def solve_coupled(coupling, right):  # type: ignore[no-untyped-def]
    """Solve (I - K) x = b in place of b, shape (n, m); False if I - K is singular."""
    matrix = -coupling
    for i in range(len(matrix)):
        matrix[i, i] += 1.0
    return solve(matrix, right) != 0.0


@kernel
def answer(utility, temperature, actions, quality):  # type: ignore[no-untyped-def]
    """Damped steps of all players at once towards Q(π(Q)), in `quality`, shape (N, A)."""
    policy, expected = np.empty_like(quality), np.empty_like(quality)
    for _ in range(DAMPED):
        choose(quality, temperature, policy)
        expect(utility, policy, actions, expected)
        quality += DAMPING * (expected - quality)


@kernel
def newton(utility, temperature, actions, tolerance, quality):  # type: ignore[no-untyped-def]
    """Improve `quality`, shape (N, A), until Q(π(Q)) - Q is at most `tolerance`.

    Steps are halved until the largest residual falls.

    Returns:
        The largest residual that is left, and the number of steps.
    """
    players, own = quality.shape
    policy, expected, trial = (
        np.empty((players, own)), np.empty((players, own)), np.empty((players, own))
    )  # fmt: skip
    coupling = np.empty((players * own, players * own))
    choose(quality, temperature, policy)
    couple(utility, policy, temperature, actions, expected, coupling)
    residual = np.abs(expected - quality).max()
    for steps in range(STEPS):
        if residual <= tolerance:
            return residual, steps
        step = np.ascontiguousarray(expected - quality).reshape(-1, 1)
        if not solve_coupled(coupling, step):
            return residual, steps
        share = 1.0
        moved = False
        for _ in range(HALVINGS):
            trial[:] = quality + share * step.reshape(players, own)
            choose(trial, temperature, policy)
            expect(utility, policy, actions, expected)
            after = np.abs(expected - trial).max()
            if after < (1.0 - 1e-4 * share) * residual:
                moved = True
                break
            share *= 0.5
        if not moved:
            return residual, steps
        quality[:] = trial
        residual = after
        couple(utility, policy, temperature, actions, expected, coupling)
    return residual, STEPS
