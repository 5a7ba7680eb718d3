"""The documentation site: `python docs/build.py`, which is what `make docs` calls.

Gathers notebooks, texts and what they link to in `docs/_build/src`, at the same paths as in the repository, so that
links between them work in both places; writes a page for each module; calls Sphinx; then looks for dead links.
"""
import ast
import inspect
import json
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import is_dataclass
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
INDEX = ROOT/"docs/index.md"
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md", "nbs/[a-z0-9]*.ipynb", "reports/*.md",
         "reports/[a-z]*/*.ipynb")
DIRECTIVE = re.compile(r"^#\|.*\n?", re.M)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"`(\d\d_\w+)`(?!\])")  # `06_warps` in a sentence


def text(cell): return "".join(cell["source"])


def prose(s, page):
    "A text of the page with links to the notebooks that it names."
    def link(m):
        nb = ROOT/f"nbs/{m[1]}.ipynb"
        up = "../"*len(page.relative_to(ROOT).parts[1:])
        return f"[{m[0]}]({up}nbs/{nb.name})" if nb.exists() and nb != page else m[0]
    return NAMED.sub(link, s)


def shown(nb, page):
    "What the site shows of a notebook: no directives, no hidden, raw or empty cells."
    cells = []
    for c in nb["cells"]:
        s = text(c)
        if c["cell_type"] == "raw" or s.startswith("#| hide"): continue
        if c["cell_type"] == "code":
            s = DIRECTIVE.sub("", s).strip("\n")
            if not s: continue
            # what was found is read without the code, as in make report; a click shows it
            if page.is_relative_to(ROOT/"reports"):
                c["metadata"]["tags"] = ["hide-input" if c["outputs"] else "hide-cell"]
        else:
            s = prose(s, page)
        cells.append({**c, "source": s})
    # prose speaks of notebooks by their numbers, so titles have them
    if page.stem[:2].isdigit(): cells[0]["source"] = re.sub(r"^# ", f"# {page.stem[:2]} ", cells[0]["source"])
    return {**nb, "cells": cells}


def without_empty(toc, pages):
    "The table of contents without patterns that nothing matches yet, of which Sphinx warns."
    names = [PurePosixPath("/", p.relative_to(ROOT).with_suffix("").as_posix()) for p in pages if p != INDEX]
    def stays(line):
        return line[:1] != "/" or "*" not in line or any(n.match(line) and f"<{n}>" not in toc for n in names)
    return "\n".join(filter(stays, toc.split("\n")))


def gather(src):
    "The pages, and every file of the repository that one of them links to."
    pages = [p for pattern in PAGES for p in sorted(ROOT.glob(pattern)) if "runs" not in p.parts]
    known = set(pages)
    files = list(pages)
    for p in files:  # grows with what is linked to
        to = src/("index.md" if p == INDEX else p.relative_to(ROOT))
        to.parent.mkdir(parents=True, exist_ok=True)
        if p.suffix not in (".md", ".ipynb"):
            shutil.copy(p, to)
            continue
        if p.suffix == ".md":
            all_text = prose(p.read_text(encoding="utf-8"), p)
            if p == INDEX: all_text = without_empty(all_text, pages)
            # orphan: only linked to, so Sphinx must not miss it in the table of contents
            to.write_text(("" if p in pages else "---\norphan: true\n---\n\n") + all_text, encoding="utf-8")
        else:
            nb = shown(json.loads(p.read_text(encoding="utf-8")), p)
            all_text = "\n".join(c["source"] for c in nb["cells"] if c["cell_type"] == "markdown")
            if p not in pages: nb["metadata"]["orphan"] = True
            to.write_text(json.dumps(nb), encoding="utf-8")
        for link in LINK.findall(all_text):
            path = unquote(urlsplit(link).path)
            target = (ROOT/path[1:] if path.startswith("/") else p.parent/path).resolve()
            if not urlsplit(link).scheme and target.is_file() and target.is_relative_to(ROOT) and target not in known:
                known.add(target)
                files.append(target)


# Pages of the modules are written here and not by autodoc, which does not know docments: the comments beside
# parameters, which say most of what there is to say. Values are shown as they are written: a repr may be long.

def in_cell(s): return " ".join(s.split()).replace("|", "\\|")


def plain(s):
    "Outside of code an asterisk multiplies: it is no emphasis."
    return re.sub(r"`[^`]*`|\*", lambda m: "\\*" if m[0] == "*" else m[0], s)


def doc(x): return plain(inspect.getdoc(x) or "")


def parsed(f): return ast.parse(textwrap.dedent(inspect.getsource(f))).body[0]


def table(f, written):
    "What the comments beside parameters or fields say; `written`: each as in the source."
    from fastcore.docments import docments
    said = docments(f)
    rows = [f"| `{in_cell(w)}` | {in_cell(plain(said.get(k) or ''))} |" for k, w in written.items()]
    if said.get("return"): rows.append(f"| *returns* | {in_cell(plain(said['return']))} |")
    return "\n".join(["| parameter | |", "|---|---|", *rows]) if any(said.values()) else ""


def function(f, name, level):
    "Its call, its docstring, its parameters."
    a = parsed(f).args
    all_args = [*a.posonlyargs, *a.args, a.vararg, *a.kwonlyargs, a.kwarg]
    written = {x.arg: ast.unparse(x) for x in all_args if x and x.arg not in ("self", "cls")}
    for x, v in [*zip(reversed([*a.posonlyargs, *a.args]), reversed(a.defaults)), *zip(a.kwonlyargs, a.kw_defaults)]:
        if v: written[x.arg] += f" = {ast.unparse(v)}"
    said = table(f, written)
    for x in all_args:
        if x and said: x.annotation = None  # types stand in the table
    return [f"{level} {name}", f"```python\n{name.split('.')[-1]}({ast.unparse(a)})\n```", doc(f), said]


def of_class(c, name):
    "Its docstring, its fields, and the methods that say what they do."
    node = parsed(c)
    bases = ", ".join(map(ast.unparse, node.bases))
    fields = {x.target.id: ast.unparse(x) for x in node.body if isinstance(x, ast.AnnAssign)}
    out = [f"## {name}", f"```python\nclass {name}{bases and f'({bases})'}\n```"]
    if ast.get_docstring(node): out.append(doc(c))  # else a dataclass shows its call there
    if is_dataclass(c): out.append(table(c, fields))
    for k, f in vars(c).items():
        f = getattr(f, "__func__", getattr(f, "fget", f))
        if inspect.isfunction(f) and f.__doc__ and f.__module__ == c.__module__ and (k == "__init__" or k[0] != "_"):
            out += function(f, f"{name}.{k}", "###")
    return out


def assigned(tree):
    "Names of a module and their values; in `A, B = 1, 2` too."
    for x in tree.body:
        for t in x.targets if isinstance(x, ast.Assign) else ():
            many = isinstance(t, ast.Tuple) and isinstance(x.value, ast.Tuple)
            for name, value in zip(t.elts, x.value.elts) if many else [(t, x.value)]:
                if isinstance(name, ast.Name): yield name, value


def api(src):
    "A page for each module, in the order of the notebooks."
    (src/"api").mkdir()
    pages = []
    for nb in sorted((ROOT/"nbs").glob("[0-9]*_*.ipynb")):
        module = nb.stem[3:]
        path = ROOT/f"ndaug/{module}.py"
        if not path.exists(): continue
        m = import_module(f"ndaug.{module}")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        own = {x.name for x in tree.body if isinstance(x, (ast.FunctionDef, ast.ClassDef))}
        out = [f"# ndaug.{module}", doc(m), f"Explained and checked in [{nb.stem}](../nbs/{nb.name})."]
        for name in m.__all__:
            if name in own and inspect.isclass(getattr(m, name)): out += of_class(getattr(m, name), name)
            elif name in own: out += function(inspect.unwrap(getattr(m, name)), name, "##")
        values = [f"| `{t.id}` | `{in_cell(textwrap.shorten(ast.unparse(v), 90, placeholder=' ...'))}` |"
                  for t, v in assigned(tree) if t.id in m.__all__]
        if values: out += ["## Values", "\n".join(["| name | value |", "|---|---|", *values])]
        (src/f"api/{module}.md").write_text("\n\n".join(filter(None, out)) + "\n", encoding="utf-8")
        pages.append((module, doc(m).split("\n")[0]))
    rows = [f"| [{p}]({p}.md) | {in_cell(line)} |" for p, line in pages]
    toc = ["```{toctree}", ":hidden:", "", *(f"{p} <{p}>" for p, _ in pages), "```"]
    (src/"api/index.md").write_text("\n".join(["# Modules", "", "| module | |", "|---|---|", *rows, "", *toc, ""]),
                                    encoding="utf-8")


class Links(HTMLParser):
    "What a page links to, what can be linked to in it, and its comments in code."
    def __init__(self, page):
        super().__init__()
        self.links, self.ids, self.comments, self.comment = [], {""}, [], False
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.ids |= {a.get("id"), a.get("name")}
        loads = tag in ("script", "img") or tag == "link" and a.get("rel") in ("stylesheet", "preload")
        self.links += [(a[k], loads) for k in ("href", "src") if a.get(k)]
        self.comment = tag == "span" and (a.get("class") or "").startswith("c")

    def handle_data(self, data):
        if self.comment: self.comments.append(data)


def check(out):
    "What is wrong with a built site, a line for each: dead links, things loaded from elsewhere, directives."
    carried = {"_static", "_downloads"}  # not pages of the site
    own = (p for p in out.rglob("*.html") if not carried & set(p.parts))
    pages = {p.resolve(): Links(p) for p in own}
    wrong = []
    for p, page in pages.items():
        at = p.relative_to(out.resolve())
        for link, loads in page.links:
            u = urlsplit(link)
            if u.scheme or u.netloc:
                if loads and u.scheme != "data": wrong.append(f"{at}: loads {link[:80]}")
                continue
            target = (p.parent/unquote(u.path)).resolve() if u.path else p
            if not target.is_file(): wrong.append(f"{at}: {link} is not there")
            elif target in pages and unquote(u.fragment) not in pages[target].ids:
                wrong.append(f"{at}: {link} has no such place")
        wrong += [f"{at}: shows {c}" for c in page.comments if c.startswith("#|")]
    return wrong


def main():
    out, build = ROOT/"_docs", ROOT/"docs/_build"
    src, html = build/"src", build/"html"
    shutil.rmtree(build, ignore_errors=True)  # Sphinx is silent about pages that it built before
    gather(src)
    sys.path.insert(0, str(ROOT))  # the modules beside the notebooks, whatever is installed
    api(src)
    # -W: a reference that leads nowhere, or a page that the table of contents misses, fails; all are shown first
    r = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-j", "auto", "-b", "html",
                        "-c", ROOT/"docs", "-d", build/"doctrees", src, html])
    wrong = check(html)
    if r.returncode or wrong: sys.exit("\n".join([*wrong, "the site has faults: see above"]))
    shutil.rmtree(out, ignore_errors=True)
    shutil.move(html, out)
    print(f"open {out/'index.html'}")


if __name__ == "__main__":
    main()
