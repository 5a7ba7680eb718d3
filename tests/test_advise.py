"nbs/advise.ipynb under papermill, on a folder of pictures."
import json
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import papermill
from PIL import Image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    "Bright and dark squares, 30 of each."
    d, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name, low in (("bright", 120), ("dark", 0)):
        (d/name).mkdir()
        for i in range(30):
            Image.fromarray(rng.integers(low, low + 130, (20, 20, 3), dtype=np.uint8)).save(d/name/f"{i}.png")
    return d


def outputs(notebook):
    return [o for c in json.loads(notebook.read_text())["cells"] for o in c.get("outputs", [])]


def text(notebook):
    return "".join("".join(o.get("text", "")) for o in outputs(notebook))


def records_in(d):
    return {p: p.stat().st_mtime_ns for p in (d/"out").rglob("[A-Z]*.json")}


def killed(d, asked):
    "Ask, and be killed as soon as there is a record; what was there then is written down."
    same = dict(classifier="vgg", data_dir="", skip_unreadable=False, size=None, fit="crop", mirror=None)
    given = same | {k: v if k == "minutes" else str(v) for k, v in asked.items()}
    code = f"from ndaug.advise import advise, question; advise(*question(device='cpu', precision='float32', **{given}))"
    p, end = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL), time.time() + 200
    while not records_in(d) and p.poll() is None and time.time() < end: time.sleep(.1)
    p.kill()
    p.wait()
    (d/"killed.json").write_text(json.dumps({str(p): t for p, t in records_in(d).items()}))


@pytest.fixture(scope="module")
def advised(tmp_path_factory, folder, cache):
    d = tmp_path_factory.mktemp("advice")
    asked = dict(dataset=folder, minutes=.8, arms="ROT", protocol="smoke", out=d/"out")
    killed(d, asked)
    r = papermill(d, notebook="advise", device="cpu", precision="float32", **asked)
    assert r.returncode == 0, r.stderr[-3000:]
    return d, asked


def test_it_says_the_plan_first_and_ends_with_a_sentence(advised, folder):
    said = text(advised[0]/"out.ipynb")
    order = ["3 arms race: ORIG, AUGORIG, ROT", "can hardly be found", "new seeds for the leader",
             "points over repeating your images, 95 % interval"]
    assert sorted(order, key=said.index) == order
    kept = json.loads((advised[0]/"out"/folder.name/"advice.json").read_text())
    assert kept["finished"] and kept["asked"]["folds"] == 5 and kept["seconds"] < 1.5*48
    assert sum("image/png" in o.get("data", {}) for o in outputs(advised[0]/"out.ipynb")) >= 1


def test_killed_in_the_middle_it_goes_on_and_keeps_what_was_there(advised):
    kept = json.loads((advised[0]/"killed.json").read_text())
    there = {str(p): t for p, t in records_in(advised[0]).items()}
    assert kept and len(kept) < len(there)
    assert {p: there[p] for p in kept} == kept


def test_a_second_run_answers_at_once_and_trains_nothing(advised, tmp_path):
    d, asked = advised
    records = {p: p.stat().st_mtime_ns for p in (d/"out").rglob("*.json")}
    r = papermill(tmp_path, notebook="advise", device="cpu", precision="float32", **asked)
    assert r.returncode == 0, r.stderr[-3000:]
    assert {p: p.stat().st_mtime_ns for p in (d/"out").rglob("*.json")} == records
    sentence = next(line for line in text(tmp_path/"out.ipynb").splitlines() if "points over repeating" in line)
    assert sentence in text(d/"out.ipynb")


@pytest.mark.parametrize("params, words", [
    (dict(minutes=.001), "minutes=0.001 is too few for two arms and two seeds, which take about 1"),
    (dict(minutes="soon"), "minutes='soon' is not valid: give how long it may take"),
    (dict(minuts=3), "did you mean 'minutes'?"),
])
def test_bad_input_ends_with_one_sentence_and_no_record(tmp_path, folder, cache, params, words):
    asked = dict(dataset=folder, arms="ROT", protocol="smoke", out=tmp_path/"out", device="cpu")
    r = papermill(tmp_path, notebook="advise", **asked | params)
    assert r.returncode != 0
    assert words in r.stderr.strip().splitlines()[-1]
    assert not list((tmp_path/"out").rglob("[A-Z]*.json"))
