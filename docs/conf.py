"Sphinx's settings. `build.py` gathers the pages and calls Sphinx on them; this file says how they look."
from configparser import ConfigParser
from importlib.util import find_spec
from pathlib import Path

ini = ConfigParser(delimiters=["="])
ini.read(Path(__file__).parents[1]/"settings.ini", encoding="utf-8")
cfg = ini["DEFAULT"]

project, release, copyright = cfg["title"], cfg["version"], cfg["copyright"]
html_title = project  # without "documentation" and the version behind it

extensions = ["myst_nb"]
nb_execution_mode = "off"   # the notebooks hold their outputs, and make test runs them
nb_merge_streams = True     # many printed lines are one box
myst_enable_extensions = ["dollarmath"]  # $x$, as Jupyter has it
myst_heading_anchors = 4    # links to headings work as on GitHub
smartquotes = False         # what is quoted is often code, and Jupyter leaves it as it is
# Python's lexer would mark the %magic lines of a notebook as errors
highlight_language = "ipython3"

suppress_warnings = [
    "myst.header",  # a notebook's headings may leave out a level
]

html_theme = "sphinx_book_theme"
html_theme_options = {
    "navbar_persistent": [],        # else a second search field above the page
    "show_toc_level": 2,            # the functions of a module, on the right
    "use_download_button": False,   # pages are copies without directives; the real ones are in the repository
}
# MathJax comes with a package, so that formulas are set without a network: by itself Sphinx would ask a CDN. It is
# not among the extensions, as it does not say that pages may be read in parallel.
mathjax = Path(find_spec("sphinx-mathjax-offline").origin).parent
mathjax_path = "mathjax/tex-chtml.js"
html_static_path = ["static", str(mathjax/"static")]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False  # the same
