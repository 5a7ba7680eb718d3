"nbs/advise.ipynb under papermill, on a folder of pictures."
import json

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


@pytest.fixture(scope="module")
def advised(tmp_path_factory, folder, cache):
    d = tmp_path_factory.mktemp("advice")
    asked = dict(dataset=folder, minutes=.8, arms="ROT", protocol="smoke", out=d/"out")
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
