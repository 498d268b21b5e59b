"""What a cell of a notebook shows, and figures there that a reader plays with."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

_DPI = 100


@dataclass(frozen=True)
class Shown:
    """Output of a cell: Jupyter asks it for Markdown or for a PNG, whichever there is."""

    text: str | None = None
    png: bytes | None = None

    def _repr_markdown_(self) -> str | None:
        return self.text

    def _repr_png_(self) -> bytes | None:
        return self.png


def picture(figure: Figure) -> Shown:
    """A figure as a PNG; a figure that pyplot does not know shows in no other way."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return Shown(png=buffer.getvalue())


def explore(draw: Callable[..., Figure], **controls: Any) -> None:
    """Show `draw()` in a cell, below controls that draw it anew.

    Without ipywidgets, or where nobody moves them, the figure is the one of the defaults.

    Args:
        draw: returns a figure; each parameter has a default.
        controls: of its parameters, by name: (lowest, highest, step) for a slider, a list or a
            dictionary for a menu, as `ipywidgets.interactive` takes them.
    """
    from IPython.display import display

    show: Callable[..., Any] = display  # IPython gives it no types

    try:
        from ipywidgets import VBox, interactive
    except ImportError:
        show(Shown(text="For controls: `pip install ipywidgets`."))
        show(picture(draw()))
        return
    made = interactive(draw, **controls)
    *moved, _ = made.children
    for control in moved:
        control.unobserve(made.update, names="value")  # its figures would go to its own output
        control.description = control.description.replace("_", " ")
        control.style.description_width = "14em"
        control.layout.width = "36em"
        if hasattr(control, "continuous_update"):
            control.continuous_update = False  # else it draws faster than one looks
    show(VBox(moved))
    shown = show(picture(draw()), display_id=True)

    def redraw(_: object) -> None:
        try:
            new = picture(draw(**{control._kwarg: control.value for control in moved}))
        except Exception as error:  # else it would go to the log, and the old figure would stay
            new = Shown(text=f"{type(error).__name__}: {error}")
        shown.update(new)

    for control in moved:
        control.observe(redraw, names="value")
