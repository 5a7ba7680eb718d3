"Records of one name are of one data set: else seeds of two would be taken for repetitions of one run."
import json

import numpy as np
import pytest
from conftest import papermill
from ndaug.params import read_params
from ndaug.study import open_cell, run_cell


def pets(folder, mended=0):
    "Two classes of 60 images, in an archive called pets; of so many images the label is mended."
    x = np.random.default_rng(0).integers(0, 256, (120, 16, 16), dtype=np.uint8)
    y = np.arange(120) % 2
    y[:mended] = 1 - y[:mended]
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder/"pets.npz", x=x, y=y)
    return folder/"pets.npz"


def run(dataset, out, **params):
    given = dict(frac=100, protocol="smoke", device="cpu", precision="float32", arms="ORIG") | params
    return run_cell(open_cell(read_params(dataset=dataset, out=out, **given)))


def last_line(r): return r.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("params", [dict(seed=1), dict(seed=1, frac=50, part="features")])
def test_labels_mended_between_seeds_are_refused_before_anything_is_written(tmp_path, cache, params):
    record, = run(pets(tmp_path/"before"), tmp_path/"runs")
    files = sorted((tmp_path/"runs").rglob("*"))
    r = papermill(tmp_path, dataset=pets(tmp_path/"after", mended=2), out=tmp_path/"runs", protocol="smoke", **params)
    assert r.returncode != 0
    words = "two data sets are called 'pets' (the pool is", record["data"]["pool"], "ORIG.json", "after/pets.npz"
    assert all(w in last_line(r) for w in words), last_line(r)
    assert sorted((tmp_path/"runs").rglob("*")) == files


def test_a_report_of_both_is_refused(tmp_path, cache):
    run(pets(tmp_path/"before"), tmp_path/"study"/"one")
    run(pets(tmp_path/"after", mended=2), tmp_path/"study"/"two", seed=1)
    r = papermill(tmp_path, notebook="report", study=tmp_path/"study", out=tmp_path/"report")
    words = "two data sets are called 'pets'", "study/one/pets/100/0/ORIG.json", "study/two/pets/100/1/ORIG.json"
    assert r.returncode != 0 and all(w in last_line(r) for w in words), last_line(r)


def test_records_of_older_versions_are_done_and_said_to_be_unchecked(tmp_path, cache):
    record, = run(pets(tmp_path/"before"), tmp_path/"runs")
    path = tmp_path/"runs"/"pets"/"100"/"0"/"ORIG.json"
    path.write_text(json.dumps({k: v for k, v in record.items() if k != "data"}))
    again, = run(tmp_path/"before"/"pets.npz", tmp_path/"runs")
    assert (again["seconds"], "data" in again) == (record["seconds"], False)
    r = papermill(tmp_path, notebook="report", study=tmp_path/"runs", out=tmp_path/"report")
    assert r.returncode == 0, r.stderr[-3000:]
    assert "1 of 1 records are of an older version" in (tmp_path/"out.ipynb").read_text()
