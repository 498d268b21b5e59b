"""The page as one HTML file that asks nothing of the network."""

import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from bilevelrl.reporting.page.content import Section
from bilevelrl.reporting.page.origin import Verdict

_CODE = re.compile(r"`([^`]+)`")


def rendered(title: str, verdict: Verdict, told: Sequence[str], sections: Sequence[Section]) -> str:
    """The page.

    Args:
        title: of the page.
        verdict: whether the results are current.
        told: sentences on commits, below the title.
        sections: in their order.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["with_code"] = with_code
    template = environment.get_template("page.html")
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    return template.render(title=title, style=style, verdict=verdict, told=told, sections=sections)


def with_code(text: str) -> Markup:
    """A text with what stands between backticks as code, everything else escaped."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))
