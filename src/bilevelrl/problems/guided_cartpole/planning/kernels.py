"""Kernels of backups on the grid of `grid.Stencils`, one block (φ, φ̇) after the other.

A step's φ' and x' are the same whatever the players do, so that v is interpolated there once, for
the few (φ̇', ẋ') that a step can reach: the block's windows, shape (M, J, N) with N = I X. First in
x for all blocks ("rolled", with two blocks of zeros before and after φ), then in φ for each. Single
precision: values of order 100 are wanted to a few thousandths.
"""

import numpy as np

from bilevelrl.core.compilation import kernel


@kernel
def roll(values, geometry, speeds, rolled):  # type: ignore[no-untyped-def]
    """Fill v(φ, φ̇, ẋ', x') of every ẋ' that a step can reach, shape (K + 4, L, J, N)."""
    x_offset, x_weight = geometry.x_offset, geometry.x_weight
    first_j, num_j = geometry.first_j, geometry.num_j
    num_k, num_l, size = values.shape
    width = size // speeds
    wide = np.zeros((speeds, width + 4), values.dtype)
    rolled[:2] = 0.0
    rolled[num_k + 2 :] = 0.0
    for k in range(num_k):
        for l in range(num_l):  # noqa: E741 -- a node of φ̇
            for i in range(speeds):
                wide[i, 2 : width + 2] = values[k, l, i * width : (i + 1) * width]
            for j in range(num_j):
                for i in range(speeds):
                    row = wide[min(max(i + first_j + j, 0), speeds - 1)]
                    start, w = x_offset[i] + 1, x_weight[i]
                    a, b, c, d = row[start:], row[start + 1 :], row[start + 2 :], row[start + 3 :]
                    out = rolled[k + 2, l, j, i * width : (i + 1) * width]
                    for x in range(width):
                        out[x] = w[0, x] * a[x] + w[1, x] * b[x] + w[2, x] * c[x] + w[3, x] * d[x]


@kernel
def roll_back(rolled, geometry, speeds, values):  # type: ignore[no-untyped-def]
    """Fill `values`, shape (K, L, N), with what `rolled` gives them; the transpose of `roll`."""
    x_offset, x_weight = geometry.x_offset, geometry.x_weight
    first_j, num_j = geometry.first_j, geometry.num_j
    num_k, num_l, size = values.shape
    width = size // speeds
    wide = np.zeros((speeds, width + 4), values.dtype)
    for k in range(num_k):
        for l in range(num_l):  # noqa: E741
            wide[:] = 0.0
            for j in range(num_j):
                for i in range(speeds):
                    row = wide[min(max(i + first_j + j, 0), speeds - 1)]
                    source = rolled[k + 2, l, j, i * width : (i + 1) * width]
                    for c in range(4):
                        target, weight = row[x_offset[i] + 1 + c :], x_weight[i, c]
                        for x in range(width):
                            target[x] += weight[x] * source[x]
            for i in range(speeds):
                values[k, l, i * width : (i + 1) * width] = wide[i, 2 : width + 2]


@kernel
def turn(rolled, k, l, m, geometry, window):  # type: ignore[no-untyped-def] # noqa: E741
    """Fill v(φ', φ̇', ., .) of one block and one of its φ̇', shape (J, N)."""
    line = min(max(l + geometry.first_m + m, 0), rolled.shape[1] - 1)
    first = k + geometry.turn_offset[k, l] + 1
    weight = geometry.turn_weight[k, l]
    a, b = rolled[first, line].ravel(), rolled[first + 1, line].ravel()
    c, d = rolled[first + 2, line].ravel(), rolled[first + 3, line].ravel()
    out = window.ravel()
    w0, w1, w2, w3 = weight[0], weight[1], weight[2], weight[3]
    for n in range(len(out)):
        out[n] = w0 * a[n] + w1 * b[n] + w2 * c[n] + w3 * d[n]


@kernel
def soft_backup(  # type: ignore[no-untyped-def]
    rolled, leader, base, kick_weight, node_weight, reward, beta, gamma, cap, geometry,
    out, expected, policy, chain,
):  # fmt: skip
    """One soft Bellman backup, and the chain of the policies that it implies.

    Args:
        rolled: v_F, see `roll`.
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
    windows = np.empty((num_m, num_j, size), rolled.dtype)
    flat = windows.reshape(num_m * num_j, size)
    for k in range(num_k):
        for l in range(num_l):  # noqa: E741
            for m in range(num_m):
                if reach[k, l, m].any():
                    turn(rolled, k, l, m, geometry, windows[m])
            total = out[k, l]
            total[:] = 0.0
            chain[k, l] = 0.0
            for w in range(num_winds):
                for u in range(num_pushes):
                    o = w * num_pushes + u
                    score = policy[k, l, o]
                    score[:] = 0.0
                    for p in range(4):
                        for q in range(4):
                            weight = kick_weight[k, l, o, 0, p] * kick_weight[k, l, o, 1, q]
                            if weight != 0.0:
                                z = (base[k, l, o, 0] + p) * num_j + base[k, l, o, 1] + q
                                source = flat[z]
                                for n in range(size):
                                    score[n] += weight * source[n]
                for n in range(size):
                    scale = gamma * alive[k, l, n] / beta
                    top = policy[k, l, w * num_pushes, n] * scale
                    for u in range(num_pushes):
                        o = w * num_pushes + u
                        policy[k, l, o, n] *= scale
                        top = max(top, policy[k, l, o, n])
                    mass = np.float32(0.0)
                    for u in range(num_pushes):
                        o = w * num_pushes + u
                        part = node_weight[u] * np.exp(policy[k, l, o, n] - top)
                        policy[k, l, o, n] = part
                        mass += part
                    for u in range(num_pushes):
                        policy[k, l, w * num_pushes + u, n] /= mass
                    expected[k, l, w, n] = reward + beta * (top + np.log(mass))
                    total[n] += leader[k, l, w, n] * expected[k, l, w, n]
            spread_chain(policy[k, l], leader[k, l], alive[k, l], base[k, l], kick_weight[k, l],
                         num_j, chain[k, l])  # fmt: skip
            for n in range(size):
                if total[n] >= cap[k, l, n]:
                    total[n] = cap[k, l, n]
                    for z in range(num_m * num_j):
                        chain[k, l, z, n] = 0.0


@kernel
def spread_chain(  # type: ignore[no-untyped-def]
    weights, leader, alive, base, kick_weight, num_j, chain
):
    """Add outcomes' weights (A U, N), times f (A, N), to the windows that they reach (M J, N)."""
    num_pushes, size = len(weights) // len(leader), weights.shape[1]
    scaled = np.empty(size, chain.dtype)
    for o in range(len(weights)):
        own = leader[o // num_pushes]
        for n in range(size):
            scaled[n] = weights[o, n] * own[n] * alive[n]
        for p in range(4):
            for q in range(4):
                weight = kick_weight[o, 0, p] * kick_weight[o, 1, q]
                if weight != 0.0:
                    target = chain[(base[o, 0] + p) * num_j + base[o, 1] + q]
                    for n in range(size):
                        target[n] += weight * scaled[n]


@kernel
def expect(rolled, chain, wanted, geometry, out):  # type: ignore[no-untyped-def]
    """Fill E[v(s')], shape (K, L, N), in the blocks that are `wanted`, (K, L); 0 elsewhere."""
    reach, num_m, num_j = geometry.reach, geometry.num_m, geometry.num_j
    num_k, num_l, size = out.shape
    window = np.empty((num_j, size), rolled.dtype)
    out[:] = 0.0
    for k in range(num_k):
        for l in range(num_l):  # noqa: E741
            if not wanted[k, l]:
                continue
            total = out[k, l]
            for m in range(num_m):
                if not reach[k, l, m].any():
                    continue
                turn(rolled, k, l, m, geometry, window)
                for j in range(num_j):
                    if not reach[k, l, m, j]:
                        continue
                    share, value = chain[k, l, m * num_j + j], window[j]
                    for n in range(size):
                        total[n] += share[n] * value[n]


@kernel
def expect_and_meet(  # type: ignore[no-untyped-def]
    rolled, chain, mass, scale, wanted, geometry, out, total
):
    """`expect`, and add `scale` times mass (K, L, N) times the windows of v to `total`.

    Which is of shape (K, L, M J, N): all that mass meets of v, sorted by where it goes.
    """
    reach, num_m, num_j = geometry.reach, geometry.num_m, geometry.num_j
    num_k, num_l, size = out.shape
    window = np.empty((num_j, size), rolled.dtype)
    scaled = np.empty(size, mass.dtype)
    out[:] = 0.0
    for k in range(num_k):
        for l in range(num_l):  # noqa: E741
            if not wanted[k, l]:
                continue
            expected = out[k, l]
            for n in range(size):
                scaled[n] = scale * mass[k, l, n]
            for m in range(num_m):
                if not reach[k, l, m].any():
                    continue
                turn(rolled, k, l, m, geometry, window)
                for j in range(num_j):
                    if not reach[k, l, m, j]:
                        continue
                    z = m * num_j + j
                    share, value, target = chain[k, l, z], window[j], total[k, l, z]
                    for n in range(size):
                        expected[n] += share[n] * value[n]
                        target[n] += scaled[n] * value[n]


@kernel
def push_forward(mass, chain, least, geometry, rolled):  # type: ignore[no-untyped-def]
    """Fill where mass (K, L, N) goes in a step, for `roll_back`; the transpose of `expect`.

    Blocks in which no mass is larger than `least` are left out.
    """
    turn_offset, turn_weight = geometry.turn_offset, geometry.turn_weight
    first_m, num_m, num_j = geometry.first_m, geometry.num_m, geometry.num_j
    reach = geometry.reach
    num_k, num_l, size = mass.shape
    moved = np.empty((num_j, size), mass.dtype)
    flat = moved.ravel()
    rolled[:] = 0.0
    for k in range(num_k):
        for l in range(num_l):  # noqa: E741
            here = mass[k, l]
            top = 0.0
            for n in range(size):
                top = max(top, abs(here[n]))
            if top <= least:
                continue
            for m in range(num_m):
                if not reach[k, l, m].any():
                    continue
                line = min(max(l + first_m + m, 0), num_l - 1)
                for j in range(num_j):
                    if not reach[k, l, m, j]:
                        moved[j] = 0.0
                        continue
                    share, target = chain[k, l, m * num_j + j], moved[j]
                    for n in range(size):
                        target[n] = share[n] * here[n]
                for c in range(4):
                    weight = turn_weight[k, l, c]
                    if weight != 0.0:
                        out = rolled[k + turn_offset[k, l] + 1 + c, line].ravel()
                        for n in range(len(out)):
                            out[n] += weight * flat[n]
