"""Inner products of many rows with many rows: the kernel behind normal equations.

Eight sums at a time stay in registers, so that each number is loaded from the cache once for four
or two products. Where numbers come from one row after the other, as in `a += x * b`, loads and
stores take several times as long as the products.
"""

from bilevelrl.core.compilation import summing_kernel


@summing_kernel
def add_inner_products(left, right, sums):  # type: ignore[no-untyped-def]
    """Add Σ_k left(i, k) right(j, k) to sums(i, j).

    `left` is (I, K) with even I, `right` (J, K) with J a multiple of 4, `sums` at least (I, J).
    """
    num_terms = left.shape[1]
    for i in range(0, len(left), 2):
        x0, x1 = left[i], left[i + 1]
        for j in range(0, len(right), 4):
            y0, y1, y2, y3 = right[j], right[j + 1], right[j + 2], right[j + 3]
            s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = 0.0
            for k in range(num_terms):
                u, v = x0[k], x1[k]
                s00 += u * y0[k]
                s01 += u * y1[k]
                s02 += u * y2[k]
                s03 += u * y3[k]
                s10 += v * y0[k]
                s11 += v * y1[k]
                s12 += v * y2[k]
                s13 += v * y3[k]
            sums[i, j] += s00
            sums[i, j + 1] += s01
            sums[i, j + 2] += s02
            sums[i, j + 3] += s03
            sums[i + 1, j] += s10
            sums[i + 1, j + 1] += s11
            sums[i + 1, j + 2] += s12
            sums[i + 1, j + 3] += s13
