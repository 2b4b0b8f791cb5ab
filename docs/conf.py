"""Sphinx builds the site from this: `make docs`.

Pages are Markdown. Those in `tutorials` are notebooks that run while the site is built, so that
their numbers and pictures are those of this very version; the others are run by the tests. The
API is generated from docstrings. Nothing is fetched: formulas and fonts come from packages.
"""

from typing import Any

from nbclient import NotebookClient

import interventional

project = "interventional"
copyright = "the interventional developers"
author = "The interventional developers"
version = release = interventional.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [(r"py:\w+", r"(?!interventional\.).*")]

# Links of all kinds must lead somewhere: Sphinx warns, and warnings are errors.
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

# Tutorials run cell by cell, so that the text between can hold what was computed: {eval}`name`.
nb_execution_mode = "inline"
nb_eval_name_regex = ".+"  # expressions too
nb_execution_timeout = -1  # none: a slow machine is no mistake of a page
nb_execution_raise_on_error = False  # a warning instead, which has the traceback and fails too
nb_execution_show_tb = True
nb_output_stderr = "error"  # a page with a warning that nobody wanted
nb_merge_streams = True
nb_render_text_lexer = "none"

autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # numpydoc says them in words
numpydoc_show_class_members = False  # the template of a class lists them
numpydoc_xref_param_type = False
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_title = "interventional"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {
        "text": "interventional",
        "image_light": "_static/favicon.svg",
        "image_dark": "_static/favicon.svg",
    },
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_prev_next": True,
    "show_toc_level": 2,
    "header_links_before_dropdown": 8,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "start": [], "changes": [], "contributing": []}


def inside_the_package(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Resolve names that docstrings have in short: `Outcomes`, `Outcomes.support`, `fit`."""
    if node.get("refdomain") != "py":
        return None
    domain, target = env.get_domain("py"), node["reftarget"].removeprefix("interventional.")
    rooms = ("trust.sensitivity.", "dask.", "graph.causal_graph.")
    places = ("", "BayesianInterventionRegressor.", *rooms)
    for place in places:
        name = f"interventional.{place}{target}"
        if name in domain.objects:
            here = node.get("refdoc", "")
            return domain.resolve_xref(env, here, app.builder, "obj", name, node, contnode)
    return None


def patiently(client: NotebookClient) -> Any:
    """Let kernels take their time, and be quiet about what is no trouble here, a port."""
    client.extra_arguments = ["--IPKernelApp.log_level=ERROR"]
    client.startup_timeout = client.iopub_timeout = 3600  # else output that comes late is lost
    return create_kernel_manager(client)


create_kernel_manager = NotebookClient.create_kernel_manager
NotebookClient.create_kernel_manager = patiently


def setup(app: Any) -> None:
    """Let Sphinx ask where it does not find a name."""
    app.connect("missing-reference", inside_the_package)
