"What the documentation site is made from, and the look for dead links; `make docs` builds the whole of it."
import json
from importlib.util import module_from_spec, spec_from_file_location

import pytest
from conftest import ROOT

spec = spec_from_file_location("build", ROOT/"docs"/"build.py")
build = module_from_spec(spec)
spec.loader.exec_module(build)


@pytest.fixture(scope="module")
def src(tmp_path_factory):
    src = tmp_path_factory.mktemp("docs")
    build.gather(src)
    return src


def test_pages_and_what_they_link_to_are_gathered(src):
    for page in ("index.md", "README.md", "nbs/06_warps.ipynb", "nbs/run.ipynb", "reports/main/report.ipynb"):
        assert (src/page).exists(), page
    for linked in ("reports/main/report/verdicts.png", "reports/Snakefile", "reports/main/quick/mnist/1/0/ROT.ipynb"):
        assert (src/linked).exists(), linked


def test_directives_and_hidden_cells_are_not_shown(src):
    for p in src.rglob("*.ipynb"):
        for c in json.loads(p.read_text())["cells"]:
            assert c["cell_type"] != "raw" and "#| " not in c["source"].split("\n")[0], f"{p.name}: {c['source']}"
    cells = [{"cell_type": t, "source": [s], "metadata": {}, "outputs": []} for t, s in (
        ("raw", "---\nskip_exec: true\n---"), ("markdown", "# warps\n\nAs in `02_arms`, `arms` and [`05_files`](x)."),
        ("code", "#| default_exp warps"), ("code", "#| export\n#| eval: false\nx = 1 #| y"), ("code", "#| hide\nx"))]
    got = [c["source"] for c in build.shown({"cells": cells}, ROOT/"nbs"/"06_warps.ipynb")["cells"]]
    assert got == ["# 06 warps\n\nAs in [`02_arms`](../nbs/02_arms.ipynb), `arms` and [`05_files`](x).", "x = 1 #| y"]


def test_the_table_of_contents_has_every_page(src):
    toc = (src/"index.md").read_text()
    assert "/nbs/0[6-9]_*" in toc and "/CHANGELOG*" in (ROOT/"docs"/"index.md").read_text()
    assert ("/CHANGELOG*" in toc) == (ROOT/"CHANGELOG.md").exists()


def test_a_function_says_its_parameters():
    def f(x:int, # how many
          *rest, y:"str|None"=None)->int: # one more
        "Adds."
    assert build.function(f, "f", "##")[1:] == ["```python\nf(x, *rest, y=None)\n```", "Adds.", "\n".join((
        "| parameter | |", "|---|---|", "| `x: int` | how many |", "| `rest` |  |", "| `y: 'str\\|None' = None` |  |",
        "| *returns* | one more |"))]


def test_dead_links_are_found(tmp_path):
    (tmp_path/"a.html").write_text('<h1 id="top">A</h1><a href="b%20c.html#here">B</a><a href="#top">A</a>'
                                   '<a href="https://ndaug.org">away</a><img src="data:image/png;base64,AA">')
    (tmp_path/"b c.html").write_text('<a id="here" href="a.html">A</a><code>#| export</code>')
    assert build.check(tmp_path) == []
    (tmp_path/"d.html").write_text('<a href="e.html">E</a><a href="a.html#nowhere">A</a><script src="//cdn.org/x.js">'
                                   '</script><span class="c1">#| export</span>')
    assert build.check(tmp_path) == ["d.html: e.html is not there", "d.html: a.html#nowhere has no such place",
                                     "d.html: loads //cdn.org/x.js", "d.html: shows #| export"]
