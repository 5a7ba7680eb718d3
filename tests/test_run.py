"nbs/run.ipynb under papermill, as a user runs it."
import json

import numpy as np
import pytest
from conftest import papermill, without_times
from ndaug.arms import REPORTED
from ndaug.records import RECORD_FIELDS


@pytest.fixture(scope="module")
def ran(tmp_path_factory, cache):
    "All arms of one cell, with parameters that are not the defaults."
    d = tmp_path_factory.mktemp("run")
    r = papermill(d, protocol="smoke", frac=5, seed=3, out=d/"runs")
    assert r.returncode == 0, r.stderr[-3000:]
    return d


def test_parameters_reach_the_records(ran):
    for arm in REPORTED:
        rec = json.loads((ran/"runs"/"digits"/"5"/"3"/f"{arm}.json").read_text())
        assert not set(RECORD_FIELDS) - set(rec)
        assert [rec[k] for k in ("dataset", "frac", "seed", "arm")] == ["digits", 5, 3, arm]
        assert rec["protocol"] == "smoke"
        assert (rec["n_train"], rec["n_synthetic"]) == (63, 0 if arm == "ORIG" else 63)
        assert 0 <= rec["test_accuracy"] <= 100 and rec["versions"]["torch"]
        assert rec["fid"]["inception"] is None and "weights are not at" in rec["fid_detail"]["inception"]["reason"]


def test_executed_notebook_shows_table_and_figures(ran):
    outputs = [o for c in json.loads((ran/"out.ipynb").read_text())["cells"] for o in c.get("outputs", [])]
    pictures = sum(any(k.startswith("image/") for k in o.get("data", {})) for o in outputs)
    assert pictures in (3, 4)  # images, losses, results; and what the look at the data found, if anything
    assert any("digits: 1,797 images of 28x28 pixels" in "".join(o.get("text", "")) for o in outputs)
    html = "".join("".join(o["data"].get("text/html", "")) for o in outputs if "data" in o)
    assert all(arm in html for arm in REPORTED) and "test %" in html
    assert (ran/"out.ipynb").stat().st_size < 400_000


def test_same_seed_same_record_in_a_fresh_process_and_folder(ran, tmp_path):
    "The default records are relative to the folder of the command."
    r = papermill(tmp_path, cwd=tmp_path, env={"NDAUG_CACHE": str(tmp_path/"cache")}, protocol="smoke", frac=5, seed=3,
                  arms="CDCGAN,ORIG")
    assert r.returncode == 0, r.stderr[-3000:]
    for arm in ("ORIG", "CDCGAN"):
        file = f"digits/5/3/{arm}.json"
        assert without_times(tmp_path/"reports"/"runs"/file) == without_times(ran/"runs"/file)


@pytest.mark.parametrize("params, words", [
    (dict(proticol="smoke"), "did you mean 'protocol'?"),
    (dict(dataset="minst"), "dataset='minst' is unknown"),
    (dict(frac=101), "frac=101 is not valid"),
    (dict(data_dir="/no/such/folder", dataset="mnist"), "data_dir='/no/such/folder' is not a folder"),
])
def test_bad_input_ends_with_one_sentence_and_no_record(tmp_path, params, words):
    r = papermill(tmp_path, out=tmp_path/"runs", **params)
    assert r.returncode != 0
    assert words in r.stderr.strip().splitlines()[-1]
    assert not (tmp_path/"runs").exists()


def test_npz_of_colour_images_runs(tmp_path, cache):
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    x = rng.integers(0, 100, (120, 32, 32, 3), dtype=np.uint8)
    x[np.arange(120), :, :, y] += 150  # red, green or blue
    np.savez(tmp_path/"rgb.npz", x=x, y=y)
    out = tmp_path/"runs"
    r = papermill(tmp_path, dataset=tmp_path/"rgb.npz", frac=50, arms="ORIG,CDCVAE,CDCGAN", protocol="smoke", out=out)
    assert r.returncode == 0, r.stderr[-3000:]
    rec = json.loads((out/"rgb"/"50"/"0"/"CDCVAE.json").read_text())
    assert (rec["dataset"], rec["n_train"], rec["n_synthetic"], rec["n_test"]) == ("rgb", 42, 42, 18)
    rec = json.loads((out/"rgb"/"50"/"0"/"CDCGAN.json").read_text())
    assert len(rec["losses"]["G"]) == 4


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_epoch_selected_is_the_one_that_counting_all_would_select(precision, cache):
    "Exact, though most epochs are not counted to the end: MNIST 1 % where it is on this machine, else digits."
    from fastai.callback.core import Callback
    from ndaug.data import data_root, load, split, subset
    from ndaug.vgg import SelectBest, learner, logits_of

    class CountAll(Callback):
        order, errors = 69, ()

        def before_validate(self):
            self.errors += (int((logits_of(self.model, s.val.x).argmax(1) != s.val.y).sum()),)

    found = "mnist" if (data_root()/"MNIST").is_dir() else "digits"
    s = split(*load(found), 0)
    train, every, select = subset(s.train, 1 if found == "mnist" else 20), CountAll(), SelectBest(s.val)
    learn = learner(train, s.val, device="cpu", precision=precision, cbs=[every, select])
    with learn.no_bar(), learn.no_logging():
        learn.fit(25)
    assert select.best_epoch == every.errors.index(min(every.errors)) + 1
    assert select.best_errors == min(every.errors)
    for i, (errors, seen) in enumerate(zip(every.errors, select.history)):
        assert (seen is None) == (i > 0 and errors >= min(every.errors[:i])), (i, errors, seen)
    assert None in select.history
