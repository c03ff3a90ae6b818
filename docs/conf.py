"""How `make docs` builds the site: from the repository's own files, where they lie, so that links hold everywhere.

The root of the sources is the repository; `docs/index` is the first page. Nothing is fetched, neither when the site
is built nor when it is read.
"""

# ruff: noqa: INP001

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import typer
from docutils.utils.math.latex2mathml import tex2mathml
from typer.cli import get_docs_for_click

import soundit_geo
from soundit_geo.cli import app as commands

if TYPE_CHECKING:
    from docutils.nodes import math, math_block
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

project = "soundit-geo"
author = copyright = "The soundit-geo developers"  # noqa: A001 - Sphinx' name for it
version = release = soundit_geo.__version__

# ---------------------------------------------------------------------------------------------------------- sources
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "notebooks/*.ipynb",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "sample_data/README.md",
    "soundit_geo/presets/*/README.md",
]
exclude_patterns = [
    ".*",
    "build",
    "dist",
    "runs",
    "shared",
    "tests",
    "work",
    "**/.ipynb_checkpoints",
    "**/__pycache__",
    "docs/_*",
]
extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
]
templates_path = ["_templates"]

# -------------------------------------------------------------------------------------------- Markdown and notebooks
myst_heading_anchors = 4
nb_execution_mode = "cache"  # run again where their code changed; `make clean` forgets
nb_execution_cache_path = "build/notebooks"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_ipywidgets_js = {}  # these would come from the network

# ------------------------------------------------------------------------------------------------------- docstrings
default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstring says them
numpydoc_show_class_members = False

# ------------------------------------------------------------------------------------------------------------- pages
html_theme = "pydata_sphinx_theme"
html_title = "soundit-geo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["_extra", "../runs/demo/map.html"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"
html_sidebars = {"docs/demo": []}
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def add_commands(_: Sphinx, page: str, source: list[str]) -> None:
    """Append to the page of the command line what ``--help`` says of each command."""
    if page == "docs/command-line":
        command = typer.main.get_command(commands)
        text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="soundit-geo")
        text = re.sub(
            r"\*\*Commands\*\*:\n\n(\* .*\n)+", "", text
        )  # cut short there; each has its own heading
        text = re.sub(r"^(#+) `(.*)`$", r"\1 \2", text, flags=re.MULTILINE)
        source[0] += text.partition("\n## ")[1] + text.partition("\n## ")[2]


def inline_math(page: HTML5Translator, node: math) -> None:
    """Write a formula as MathML, which browsers draw without a script."""
    page.body.append(tex2mathml(node.astext()))


def displayed_math(page: HTML5Translator, node: math_block) -> None:
    """Write a formula that has a line of its own."""
    page.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')


def setup(app: Sphinx) -> None:
    """Tell Sphinx of the above."""
    app.connect("source-read", add_commands)
    app.add_html_math_renderer("mathml", (inline_math, None), (displayed_math, None))
