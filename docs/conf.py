"""How Sphinx builds the documentation: ``python -m sphinx -W -n -b html docs docs/_build/html``.

It needs no network. With ``-t online``, names of Python, pandas and others link to their own documentation.
"""

import shutil
from pathlib import Path

import mlxp

HERE = Path(__file__).parent

# Sphinx reads nothing outside of its own folder.
shutil.rmtree(HERE / "notebooks", ignore_errors=True)
shutil.copytree(HERE.parent / "notebooks", HERE / "notebooks", ignore=shutil.ignore_patterns(".*", "logs"))

project = "MLXP"
author = "the authors of MLXP"
project_copyright = author
release = mlxp.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "examples", "**.ipynb_checkpoints"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "auto"
nb_execution_raise_on_error = True
nb_execution_timeout = 120

napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
# In a docstring, `name` is a link if it names something that is documented, and code otherwise.
default_role = "py:obj"

if tags.has("online"):  # noqa: F821 - Sphinx puts it there
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "numpy": ("https://numpy.org/doc/stable", None),
    }

nitpick_ignore_regex = [
    (r"py:.*", r"(?!mlxp).*"),  # what is not MLXP's own has no page to link to offline; nor have parameters
    (r"py:obj", r"mlxp_reader\.DataFrame"),  # documented as mlxp.DataFrame
    (r"py:class", r"mlxp\.launcher\.Value"),  # stands for the type of what a task returns
    (r"py:class", r"mlxp_reader\.frames\.groups\.Group"),  # stands for a frame of runs, or for groups of groups
    (r"py:class", r"mlxp_reader\.[\w.]+\.(_\w+|MetricColumn|Batch|QueryPlace)"),  # what only our own code makes
]

html_theme = "furo"
html_title = f"MLXP {release}"
html_static_path = ["_static"]
html_css_files = ["mlxp.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
pygments_style = "default"
pygments_dark_style = "github-dark"
