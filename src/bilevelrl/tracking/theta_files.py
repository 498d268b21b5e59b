"""The final θ of a run as files that MLflow's UI can show: a table, and bars without Matplotlib.

A figure of Matplotlib would take longer than all else that is logged of a run.
"""

from pathlib import Path

import numpy as np

from bilevelrl.core.arrays import Floats

WIDTH, HEIGHT, MARGIN = 640, 240, 30  # pixels
BARS, ROWS = 200, 1000  # at most
PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" \
viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="{margin}" y="18">final θ, {count} components, from {low:.4g} to {high:.4g}</text>
<path d="M{margin} {zero:.2f}H{right}" stroke="black"/>
<path d="{path}" fill="#4878a8"/>
<text x="{margin}" y="{below}">component 0</text>
<text x="{right}" y="{below}" text-anchor="end">{last}</text>
</svg>
"""


def write_theta(theta: Floats, folder: Path) -> None:
    """Write θ, of any shape and in the order of its memory, as theta.npy, theta.csv and theta.svg.

    The table is left out where nobody would read it, beyond `ROWS`, and the picture of a θ that is
    not finite, of a run that failed.
    """
    np.save(folder / "theta.npy", theta)
    flat = np.asarray(theta, dtype=np.float64).ravel()
    if flat.size <= ROWS:
        rows = "".join(f"{index},{value:.10g}\n" for index, value in enumerate(flat))
        (folder / "theta.csv").write_text(f"component,value\n{rows}", encoding="utf-8")
    if flat.size and np.isfinite(flat).all():
        (folder / "theta.svg").write_text(bars(flat), encoding="utf-8")


def bars(theta: Floats) -> str:
    """The picture: a bar from zero for every component, shape (D,).

    Of more than `BARS` components neighbours share a bar, from their least to their greatest.
    """
    parts = np.array_split(theta, min(len(theta), BARS))
    least = np.array([min(0.0, part.min()) for part in parts])
    greatest = np.array([max(0.0, part.max()) for part in parts])
    scale = (HEIGHT - 2 * MARGIN) / ((greatest.max() - least.min()) or 1.0)
    step = (WIDTH - 2 * MARGIN) / len(parts)
    zero = MARGIN + greatest.max() * scale
    path = "".join(
        f"M{MARGIN + (index + 0.1) * step:.1f} {zero - high * scale:.1f}h{0.8 * step:.1f}"
        f"v{(high - low) * scale:.1f}h{-0.8 * step:.1f}z"
        for index, (low, high) in enumerate(zip(least, greatest, strict=True))
    )
    return PICTURE.format(
        width=WIDTH, height=HEIGHT, margin=MARGIN, right=WIDTH - MARGIN, below=HEIGHT - 8,
        count=len(theta), low=theta.min(), high=theta.max(), zero=zero, path=path,
        last=len(theta) - 1,
    )  # fmt: skip
