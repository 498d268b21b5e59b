"""Kernels of a soft Bellman backup on the grid of `grid.Stencils`, one block (φ, φ̇) after another.

Values come as `movement.roll` leaves them. Exponentials and logarithms are polynomials in single
precision, right to two units in its last place: those of the C library are not computed by vectors.
"""

import numpy as np

from bilevelrl.core.compilation import kernel
from bilevelrl.problems.guided_cartpole.planning.movement import turn

#: 1 / ln 2, and the bits of 1/√2 in single precision.
_PER_BIT, _HALF_ROOT = np.float32(1.4426950408889634), np.int32(0x3F3504F3)


@kernel
def soft_backup(  # type: ignore[no-untyped-def]
    rolled, leader, base, kick_weight, node_weight, reward, beta, gamma, cap, geometry,
    out, expected, policy, chain,
):  # fmt: skip
    """One soft Bellman backup, and the chain of the policies that it implies.

    Args:
        rolled: v_F, see `movement.roll`.
        leader: f(w | s), shape (K, L, A, N).
        base: first window (m, j) of an outcome (w, u), shape (K, L, A U, 2).
        kick_weight: of its four windows in each direction, shape (K, L, A U, 2, 4).
        node_weight: of the pushes in an integral over u, shape (U,).
        reward: r_F per step.
        beta: temperature.
        gamma: γ_F.
        cap: no value is larger, shape (K, L, N).
        geometry: see `grid.Geometry`.
        out: filled with E_w V_F, shape (K, L, N).
        expected: filled with V_F(s, w), shape (K, L, A, N).
        policy: filled with π(u | s, w), shape (K, L, A U, N).
        chain: filled with the weight of each window, shape (K, L, M J, N); 0 where the cap holds.
    """
    alive, reach = geometry.alive, geometry.reach
    num_m, num_j = geometry.num_m, geometry.num_j
    num_k, num_l, num_winds, size = expected.shape
    num_pushes = len(node_weight)
    windows = np.zeros((num_m * num_j, size), rolled.dtype)  # some are met with a weight of 0 only
    scale, top, mass, log_mass = np.empty((4, size), rolled.dtype)
    powers = np.empty(size, np.int32)
    for k in range(num_k):
        for l in range(num_l):  # noqa: E741 -- a node of φ̇
            weight, first = geometry.turn_weight[k, l], k + geometry.turn_offset[k, l] + 1
            for m in range(num_m):
                line = min(max(l + geometry.first_m + m, 0), num_l - 1)
                for j in range(num_j):
                    if reach[k, l, m, j]:
                        turn(rolled, first, line, j, weight, 0, size, windows[m * num_j + j])
            total = out[k, l]
            total[:] = 0.0
            for n in range(size):
                scale[n] = gamma * alive[k, l, n] / beta
            for w in range(num_winds):
                for u in range(num_pushes):
                    o = w * num_pushes + u
                    _score(windows, base[k, l, o], kick_weight[k, l, o], num_j, policy[k, l, o])
                own = policy[k, l, w * num_pushes : (w + 1) * num_pushes]
                top[:] = own[0]
                for u in range(1, num_pushes):
                    score = own[u]
                    for n in range(size):
                        top[n] = max(top[n], score[n])
                mass[:] = 0.0
                for u in range(num_pushes):
                    part, share = own[u], node_weight[u]
                    for n in range(size):
                        part[n] = (part[n] - top[n]) * scale[n]
                    exponential(part, powers)
                    for n in range(size):
                        part[n] *= share
                        mass[n] += part[n]
                logarithm(mass, powers, log_mass)
                for u in range(num_pushes):
                    part = own[u]
                    for n in range(size):
                        part[n] /= mass[n]
                soft, chosen = expected[k, l, w], leader[k, l, w]
                for n in range(size):
                    soft[n] = reward + beta * (top[n] * scale[n] + log_mass[n])
                    total[n] += chosen[n] * soft[n]
            chain[k, l] = 0.0
            spread_chain(policy[k, l], leader[k, l], alive[k, l], base[k, l], kick_weight[k, l],
                         num_j, chain[k, l])  # fmt: skip
            for n in range(size):
                if total[n] >= cap[k, l, n]:
                    total[n] = cap[k, l, n]
                    for z in range(num_m * num_j):
                        chain[k, l, z, n] = 0.0


@kernel
def _score(windows, base, kick_weight, num_j, out):  # type: ignore[no-untyped-def]
    # v after one outcome, from the windows around it.
    out[:] = 0.0
    straight = kick_weight[1, 0] == 0.0 and kick_weight[1, 3] == 0.0
    for p in range(4):
        weight = kick_weight[0, p]
        if weight != 0.0:
            z = (base[0] + p) * num_j + base[1]
            w1, w2 = weight * kick_weight[1, 1], weight * kick_weight[1, 2]
            b, c = windows[z + 1], windows[z + 2]
            if straight:
                for n in range(len(out)):
                    out[n] += w1 * b[n] + w2 * c[n]
            else:
                w0, w3 = weight * kick_weight[1, 0], weight * kick_weight[1, 3]
                a, d = windows[z], windows[z + 3]
                for n in range(len(out)):
                    out[n] += w0 * a[n] + w1 * b[n] + w2 * c[n] + w3 * d[n]


@kernel
def exponential(values, powers):  # type: ignore[no-untyped-def]
    """Replace values (N,), none above 0, by exp; `powers` is a buffer of 32-bit integers, (N,)."""
    c1, c2, c3 = (
        np.float32(0.6931471805599453),
        np.float32(0.2402265069591007),
        np.float32(0.05550410866482158),
    )
    c4, c5, c6 = (
        np.float32(0.009618129107628477),
        np.float32(0.001333355814642844),
        np.float32(0.0001540353039338161),
    )
    half, least, one = np.float32(0.5), np.float32(-126.0), np.float32(1.0)
    for n in range(len(values)):
        bits = max(values[n] * _PER_BIT, least)
        whole = np.int32(bits - half)
        r = bits - np.float32(whole)
        values[n] = one + r * (c1 + r * (c2 + r * (c3 + r * (c4 + r * (c5 + r * c6)))))
        powers[n] = (whole + 127) << 23
    factors = powers.view(np.float32)
    for n in range(len(values)):
        values[n] *= factors[n]


@kernel
def logarithm(values, powers, out):  # type: ignore[no-untyped-def]
    """Fill `out` with the log of positive values (N,); `powers` is a buffer as in `exponential`."""
    one, two, log_two = np.float32(1.0), np.float32(2.0), np.float32(0.6931471805599453)
    c3, c5, c7, c9 = (
        np.float32(1.0 / 3.0), np.float32(0.2), np.float32(1.0 / 7.0), np.float32(1.0 / 9.0),
    )  # fmt: skip
    bits = values.view(np.int32)
    for n in range(len(values)):
        power = (bits[n] - _HALF_ROOT) >> 23
        out[n] = np.float32(power) * log_two
        powers[n] = bits[n] - (power << 23)
    rests = powers.view(np.float32)
    for n in range(len(values)):
        s = (rests[n] - one) / (rests[n] + one)
        q = s * s
        out[n] += two * s * (one + q * (c3 + q * (c5 + q * (c7 + q * c9))))


@kernel
def spread_chain(  # type: ignore[no-untyped-def]
    weights, leader, alive, base, kick_weight, num_j, chain
):
    """Add outcomes' weights (A U, N), times f (A, N), to the windows that they reach (M J, N)."""
    num_pushes, size = len(weights) // len(leader), weights.shape[1]
    scaled = np.empty(size, chain.dtype)
    for o in range(len(weights)):
        own, chosen = weights[o], leader[o // num_pushes]
        for n in range(size):
            scaled[n] = own[n] * chosen[n] * alive[n]
        for p in range(4):
            for q in range(4):
                weight = kick_weight[o, 0, p] * kick_weight[o, 1, q]
                if weight != 0.0:
                    target = chain[(base[o, 0] + p) * num_j + base[o, 1] + q]
                    for n in range(size):
                        target[n] += weight * scaled[n]
