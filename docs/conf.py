"""What Sphinx makes of docs/: `make site`."""

import os
import re
import sys
import tomllib
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Pages that stand for a document of the repository's root.
PAGES = {"README": "index", "CONTRIBUTING": "contributing", "CHANGELOG": "changelog"}

sys.path.insert(0, str(ROOT / "src"))  # the docstrings of this tree

project = PROJECT["name"]
version = release = PROJECT["version"]
copyright = "the bilevelrl developers, Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["templates"]
default_role = "literal"  # a name in backticks, as docstrings have it
nitpicky = True
# Types in signatures are found by Sphinx and not written by hand; not all have a place here.
nitpick_ignore_regex = [("py:(class|obj)", ".*")]

html_theme = "furo"
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = html_show_sourcelink = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # the anchors that a forge makes

# A page names a module, and all of its `__all__` is shown.
autodoc_default_options = {"members": True, "imported-members": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True


class RepositoryFiles(SphinxTransform):
    """Links to files that are no pages go to the repository, or to copies if it has no address."""

    default_priority = 1

    def apply(self) -> None:
        """Give such links of one page their targets."""
        for link in [*self.document.findall(addnodes.pending_xref)]:
            path = Path(link["reftarget"])
            if link["reftype"] != "myst" or not path.is_absolute():
                continue  # Sphinx leaves paths absolute that lie outside of its folder
            if (name := str(path.relative_to(ROOT))) in PAGES:
                link["reftarget"] = PAGES[name]
            else:
                link.replace_self(self._file(link, f"{path}.md"))
        for link in [*self.document.findall(addnodes.download_reference)]:
            link.replace_self(self._file(link, self.env.relfn2path(link["reftarget"])[1]))

    def _file(self, link: nodes.Element, path: str) -> nodes.Element:
        place = Path(path).resolve().relative_to(ROOT)
        if address := PROJECT.get("urls", {}).get("Repository"):
            return nodes.reference("", "", *link.children, refuri=f"{address}/blob/HEAD/{place}")
        here = Path(self.env.doc2path(self.env.docname)).parent
        copy = addnodes.download_reference("", "", *link.children, refdomain=None)
        copy["reftarget"], copy["refdoc"] = os.path.relpath(path, here), self.env.docname
        return copy


def mathematics(translator: HTML5Translator, node: nodes.Element) -> None:
    """Write TeX as MathML, which browsers show without a script."""
    block = isinstance(node, nodes.math_block)
    try:  # TeX takes two digits for two arguments, the converter for one number
        text = re.sub(r"(\\[dt]?frac)(\d)(\d)", r"\1{\2}{\3}", node.astext())
        written = tex2mathml(text, as_block=block)
    except MathError as error:
        logging.getLogger(__name__).warning("%s: %s", node.astext(), error, location=node)
        written = translator.encode(node.astext())
    translator.body.append(f'<div class="equation">{written}</div>' if block else written)
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Add to Sphinx what the pages need."""
    app.add_transform(RepositoryFiles)
    app.add_html_math_renderer("mathml", (mathematics, None), (mathematics, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
