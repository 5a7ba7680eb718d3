"What holds for the project as a whole: imports, and notebooks and modules in step."
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from ndaug.params import PARAMS

MODULES = sorted(p.stem for p in (ROOT/"ndaug").glob("[a-z]*.py"))
USE_FASTAI = ("training", "cdcgan", "cdcvae", "policy", "chimera", "vgg", "features", "study", "jobs", "plan", "advise",
              "answer", "use", "export", "explore")
NOTEBOOKS = sorted((ROOT/"nbs").glob("*.ipynb"))


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent)


@pytest.mark.parametrize("module", MODULES)
def test_imports_in_a_fresh_interpreter(module):
    # fastai is slow to import: who only looks at data must not wait for it
    r = python(f"import ndaug.{module}, sys; print('fastai' in sys.modules)")
    assert r.returncode == 0, r.stderr
    assert r.stdout.strip() == str(module in USE_FASTAI)


def test_modules_are_in_the_order_of_the_notebooks():
    "Imports go to lower numbers only."
    order = {nb.stem[3:]: nb.stem[:2] for nb in NOTEBOOKS if nb.stem[3:] in MODULES}
    found = 0
    for module, number in order.items():
        for line in (ROOT/"ndaug"/f"{module}.py").read_text().splitlines():
            if line.startswith("from ."):
                found += 1
                assert order[line.split()[1][1:]] < number, f"{module}: {line}"
    assert found > len(order)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    "A copy of the project's sources, exported and cleaned anew."
    d = tmp_path_factory.mktemp("copy")
    litter = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in ("nbs", "ndaug"):
        shutil.copytree(ROOT/name, d/name, ignore=litter)
    for p in (d/"ndaug").glob("[a-z]*.py"):
        p.unlink()  # a module that no notebook exports must be missed
    for name in ("settings.ini", "pyproject.toml", "README.md"):
        shutil.copy(ROOT/name, d/name)
    for tool in ("export", "clean"):
        r = subprocess.run([Path(sys.executable).parent/f"nbdev_{tool}"], cwd=d, capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
    return d


def test_modules_are_what_the_notebooks_export(copy):
    for p in (ROOT/"ndaug").glob("*.py"):
        assert (copy/"ndaug"/p.name).read_text() == p.read_text(), f"{p.name} is out of step: make sync"
    assert {p.name for p in (copy/"ndaug").glob("*.py")} == {p.name for p in (ROOT/"ndaug").glob("*.py")}


def test_notebooks_are_clean_and_small(copy):
    for nb in NOTEBOOKS:
        assert (copy/"nbs"/nb.name).read_text() == nb.read_text(), f"{nb.name} is not clean: make sync"
        assert nb.stat().st_size < 400_000, f"{nb.name} is larger than 400 KB"


def test_run_notebook_keeps_its_parameters_tag():
    cells = json.loads((ROOT/"nbs"/"run.ipynb").read_text())["cells"]
    tagged = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    assert len(tagged) == 1
    names = [line.split("=")[0].strip() for line in tagged[0]["source"]]
    assert names == list(PARAMS)
    assert set("dataset frac seed arms protocol features data_dir out device".split()) <= set(names)  # the contract


def test_notebooks_show_no_error_and_have_a_check_for_what_they_export():
    for nb in NOTEBOOKS:
        cells = json.loads(nb.read_text())["cells"]
        assert not any(o["output_type"] == "error" for c in cells for o in c.get("outputs", [])), nb.name
        sources = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
        exported = [s for s in sources if s.startswith("#| export")]
        checks = [s for s in sources if not s.startswith("#|") and ("test_" in s or "assert " in s)]
        if exported:
            assert len(checks) >= len(exported)/2 and len(checks) >= 3, nb.name


def test_cells_are_short_and_so_are_their_lines():
    for nb in NOTEBOOKS:
        for c in json.loads(nb.read_text())["cells"]:
            lines = "".join(c["source"]).splitlines()
            if c["cell_type"] == "code":
                assert len(lines) <= 40, f"{nb.name}: a cell of {len(lines)} lines, {lines[1]}"
                assert all(len(line) <= 120 for line in lines), f"{nb.name}: {max(lines, key=len)}"


def test_what_the_readme_links_to_is_there():
    docs = set(ROOT.glob("docs/*.md")) - {ROOT/"docs"/"index.md"}  # whose links are those of the site: make docs checks
    for doc in (*ROOT.glob("*.md"), *docs, ROOT/"reports"/"README.md"):
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", doc.read_text()):
            assert link.startswith("http") or (doc.parent/link).exists(), f"{doc.name}: {link}"
