"""Kernels that take values back, and mass forward, over one step on the grid of `grid.Stencils`.

A step's φ' and x' are the same whatever the players do, so that v is interpolated there once, for
the few (φ̇', ẋ') that a step can reach: the block's windows, shape (M, J, N) with N = I X. First in
x for all blocks ("rolled", with two blocks of zeros before and after φ), then in φ for each. Single
precision: values of order 100 are wanted to a few thousandths.

All inner loops go over neighbours in memory, and a weight that is zero costs nothing: interpolation
is linear in most blocks.
"""

import numpy as np

from bilevelrl.core.compilation import kernel


@kernel
def roll(values, geometry, speeds, rolled):  # type: ignore[no-untyped-def]
    """Fill v(φ, φ̇, ẋ', x') of every ẋ' that a step can reach, shape (K + 4, L, J, N)."""
    x_group, x_offset, x_weight = geometry.x_group, geometry.x_offset, geometry.x_weight
    first_j, num_j = geometry.first_j, geometry.num_j
    num_k, num_l, size = values.shape
    width, before = size // speeds, max(-first_j, 0)
    after = max(first_j + num_j - 1, 0)
    wide = np.zeros((before + speeds + after) * width + 4, values.dtype)
    rolled[:2] = 0.0
    rolled[num_k + 2 :] = 0.0
    w0, w1, w2, w3 = x_weight[0], x_weight[1], x_weight[2], x_weight[3]
    for k in range(num_k):
        for l in range(num_l):  # noqa: E741 -- a node of φ̇
            _widen(values[k, l], before, after, width, wide)
            for j in range(num_j):
                out = rolled[k + 2, l, j]
                for group in range(len(x_group) - 1):
                    start, stop = x_group[group], x_group[group + 1]
                    shift = (before + first_j + j) * width + 1 + x_offset[group]
                    _combine(
                        wide[start + shift : stop + shift + 3], w0[start:stop], w1[start:stop],
                        w2[start:stop], w3[start:stop], out[start:stop],
                    )  # fmt: skip


@kernel
def _widen(values, before, after, width, wide):  # type: ignore[no-untyped-def]
    # What is slower or faster than the grid knows counts as its edge.
    wide[2 + before * width : 2 + before * width + len(values)] = values
    for i in range(before):
        wide[2 + i * width : 2 + (i + 1) * width] = values[:width]
    for i in range(after):
        place = 2 + before * width + len(values) + i * width
        wide[place : place + width] = values[len(values) - width :]


@kernel
def _combine(source, w0, w1, w2, w3, out):  # type: ignore[no-untyped-def]
    for n in range(len(out)):
        out[n] = (
            w0[n] * source[n] + w1[n] * source[n + 1]
            + w2[n] * source[n + 2] + w3[n] * source[n + 3]
        )  # fmt: skip


@kernel
def roll_back(rolled, geometry, speeds, values):  # type: ignore[no-untyped-def]
    """Fill `values`, shape (K, L, N), with what `rolled` gives them; the transpose of `roll`."""
    x_group, x_offset, x_weight = geometry.x_group, geometry.x_offset, geometry.x_weight
    first_j, num_j = geometry.first_j, geometry.num_j
    num_k, num_l, size = values.shape
    width, before = size // speeds, max(-first_j, 0)
    after = max(first_j + num_j - 1, 0)
    wide = np.empty((before + speeds + after) * width + 4, values.dtype)
    for k in range(num_k):
        for l in range(num_l):  # noqa: E741
            wide[:] = 0.0
            for j in range(num_j):
                source = rolled[k + 2, l, j]
                for group in range(len(x_group) - 1):
                    start, stop = x_group[group], x_group[group + 1]
                    shift = (before + first_j + j) * width + 1 + x_offset[group]
                    for c in range(4):
                        _add_product(
                            x_weight[c][start:stop], source[start:stop],
                            wide[start + shift + c : stop + shift + c],
                        )  # fmt: skip
            _narrow(wide, before, after, width, values[k, l])


@kernel
def _narrow(wide, before, after, width, values):  # type: ignore[no-untyped-def]
    # The transpose of `_widen`.
    values[:] = wide[2 + before * width : 2 + before * width + len(values)]
    for i in range(before):
        for x in range(width):
            values[x] += wide[2 + i * width + x]
    for i in range(after):
        place = 2 + before * width + len(values) + i * width
        for x in range(width):
            values[len(values) - width + x] += wide[place + x]


@kernel
def _add_product(weight, source, out):  # type: ignore[no-untyped-def]
    for n in range(len(out)):
        out[n] += weight[n] * source[n]


@kernel
def _add_scaled(weight, source, out):  # type: ignore[no-untyped-def]
    for n in range(len(out)):
        out[n] += weight * source[n]


@kernel
def turn(rolled, first, line, j, weight, start, stop, window):  # type: ignore[no-untyped-def]
    """Fill one window of a block, shape (N,), between two of its nodes.

    Args:
        rolled: see `roll`.
        first: block of the first of the four φ around φ'.
        line: φ̇' of the window.
        j: ẋ' of the window.
        weight: of the four φ; the outer two are zero where interpolation is linear.
        start: first node that is filled.
        stop: first node that is not.
        window: filled.
    """
    w0, w1, w2, w3 = weight[0], weight[1], weight[2], weight[3]
    out = window[start:stop]
    b, c = rolled[first + 1, line, j][start:stop], rolled[first + 2, line, j][start:stop]
    if w0 == 0.0 and w3 == 0.0:
        for n in range(len(out)):
            out[n] = w1 * b[n] + w2 * c[n]
    else:
        a, d = rolled[first, line, j][start:stop], rolled[first + 3, line, j][start:stop]
        for n in range(len(out)):
            out[n] = w0 * a[n] + w1 * b[n] + w2 * c[n] + w3 * d[n]


@kernel
def expect(rolled, chain, spans, geometry, out):  # type: ignore[no-untyped-def]
    """Fill E[v(s')], shape (K, L, N), between the nodes `spans`, (K, L, 2), of a block; else 0."""
    reach, num_m, num_j = geometry.reach, geometry.num_m, geometry.num_j
    num_k, num_l, size = out.shape
    window = np.empty(size, rolled.dtype)
    for k in range(num_k):
        for l in range(num_l):  # noqa: E741
            start, stop = spans[k, l]
            total = out[k, l]
            total[:] = 0.0
            weight, first = geometry.turn_weight[k, l], k + geometry.turn_offset[k, l] + 1
            if stop <= start or not weight.any():
                continue
            for m in range(num_m):
                line = min(max(l + geometry.first_m + m, 0), num_l - 1)
                for j in range(num_j):
                    if reach[k, l, m, j]:
                        turn(rolled, first, line, j, weight, start, stop, window)
                        _add_product(
                            chain[k, l, m * num_j + j][start:stop], window[start:stop],
                            total[start:stop],
                        )  # fmt: skip


@kernel
def expect_and_meet(  # type: ignore[no-untyped-def]
    rolled, chain, mass, scale, spans, geometry, out, total
):
    """`expect`, and add `scale` times mass (K, L, N) times the windows of v to `total`.

    Which is of shape (K, L, M J, N): all that mass meets of v, sorted by where it goes.
    """
    reach, num_m, num_j = geometry.reach, geometry.num_m, geometry.num_j
    num_k, num_l, size = out.shape
    window, scaled = np.empty(size, rolled.dtype), np.empty(size, mass.dtype)
    for k in range(num_k):
        for l in range(num_l):  # noqa: E741
            start, stop = spans[k, l]
            expected = out[k, l]
            expected[:] = 0.0
            weight, first = geometry.turn_weight[k, l], k + geometry.turn_offset[k, l] + 1
            if stop <= start or not weight.any():
                continue
            for n in range(start, stop):
                scaled[n] = scale * mass[k, l, n]
            for m in range(num_m):
                line = min(max(l + geometry.first_m + m, 0), num_l - 1)
                for j in range(num_j):
                    if reach[k, l, m, j]:
                        z = m * num_j + j
                        turn(rolled, first, line, j, weight, start, stop, window)
                        _add_product(
                            chain[k, l, z][start:stop], window[start:stop], expected[start:stop]
                        )
                        _add_product(
                            scaled[start:stop], window[start:stop], total[k, l, z][start:stop]
                        )


@kernel
def push_forward(mass, chain, least, geometry, rolled):  # type: ignore[no-untyped-def]
    """Fill where mass (K, L, N) goes in a step, for `roll_back`; the transpose of `expect`.

    What comes before the first node of a block with more than `least`, or after the last one, is
    left out.
    """
    reach, num_m, num_j = geometry.reach, geometry.num_m, geometry.num_j
    num_k, num_l, size = mass.shape
    window = np.empty(size, mass.dtype)
    rolled[:] = 0.0
    for k in range(num_k):
        for l in range(num_l):  # noqa: E741
            start, stop = span_of(mass[k, l], least)
            weight, first = geometry.turn_weight[k, l], k + geometry.turn_offset[k, l] + 1
            if stop <= start or not weight.any():
                continue
            w0, w1, w2, w3 = weight[0], weight[1], weight[2], weight[3]
            here, moved = mass[k, l][start:stop], window[start:stop]
            for m in range(num_m):
                line = min(max(l + geometry.first_m + m, 0), num_l - 1)
                for j in range(num_j):
                    if reach[k, l, m, j]:
                        share = chain[k, l, m * num_j + j][start:stop]
                        for n in range(len(moved)):
                            moved[n] = share[n] * here[n]
                        _add_scaled(w1, moved, rolled[first + 1, line, j][start:stop])
                        _add_scaled(w2, moved, rolled[first + 2, line, j][start:stop])
                        if w0 != 0.0 or w3 != 0.0:
                            _add_scaled(w0, moved, rolled[first, line, j][start:stop])
                            _add_scaled(w3, moved, rolled[first + 3, line, j][start:stop])


@kernel
def span_of(values, least):  # type: ignore[no-untyped-def]
    """Of values (N,): the first that is larger than `least`, and what follows the last that is."""
    start, stop = 0, len(values)
    while start < stop and abs(values[start]) <= least:
        start += 1
    while stop > start and abs(values[stop - 1]) <= least:
        stop -= 1
    return start, stop
