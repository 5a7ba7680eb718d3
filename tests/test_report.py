"nbs/report.ipynb on records as they come: of several seeds, of arms of one's own, of a study that has only begun."
import json
import re
import subprocess
import sys

import pandas as pd
import pytest
from conftest import ROOT

MAIN = ROOT/"reports"/"main"


def papermill(notebook, executed, **params):
    command = [sys.executable, "-m", "papermill", ROOT/notebook, executed, "-k", "python3", "--no-progress-bar"]
    for k, v in params.items(): command += ["-p", k, str(v)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def report(study, out): return papermill("nbs/report.ipynb", out/"report.ipynb", study=study, out=out)


def outputs(notebook):
    return [o for c in json.loads(notebook.read_text())["cells"] for o in c.get("outputs", [])]


def html(notebook):
    return "".join("".join(o["data"].get("text/html", "")) for o in outputs(notebook) if "data" in o)


def copied(study, arm, name=None, **fields):
    "The records of one arm of the kept study, under another name where one is given."
    for p in MAIN.rglob(f"{arm}.json"):
        q = study/p.relative_to(MAIN).with_stem(name or arm)
        q.parent.mkdir(parents=True, exist_ok=True)
        q.write_text(json.dumps(json.loads(p.read_text()) | {"arm": name or arm} | fields))
    return study


@pytest.mark.parametrize("arms", ["all", "ORIG", "BLUR"])
def test_real_records_become_a_report(tmp_path, arms):
    study = MAIN if arms == "all" else copied(tmp_path/"study", arms)
    r = report(study, tmp_path)
    assert r.returncode == 0, r.stderr[-3000:]
    shown = html(tmp_path/"report.ipynb")
    assert all(word in shown for word in ("published", "AUGORIG", "ROTBLUR"))
    table = (tmp_path/"table2.csv").read_text()
    arm = "ORIG" if arms == "all" else arms
    ours = [json.loads(p.read_text())["test_accuracy"] for p in study.rglob(f"quick/mnist/1/*/{arm}.json")]
    numbers = [float(w) for w in re.split("[,\n]", table) if re.fullmatch(r"[\d.]+", w)]
    assert ours and any(abs(v - sum(ours)/len(ours)) < 1e-6 for v in numbers)  # the mean over seeds
    if arms == "all":
        assert (tmp_path/"verdicts.png").stat().st_size > 1000
        kept, now = (pd.read_csv(folder/"verdicts.csv") for folder in (study/"report", tmp_path))
        pd.testing.assert_frame_equal(kept, now)  # make report STUDY=reports/main, once there are new records


def test_an_arm_that_is_in_no_list_has_its_place(tmp_path):
    "One of each kind, after the arms of the list, in every table."
    study = tmp_path/"study"
    for arm in ("ORIG", "AUGORIG", "ROT", "CDCVAE"): copied(study, arm)
    copied(study, "ROTBLUR", "TINT", kind="traditional")
    copied(study, "CDCGAN", "DRAWN", kind="generated")
    r = report(study, tmp_path)
    assert r.returncode == 0, r.stderr[-3000:]
    v = pd.read_csv(tmp_path/"verdicts.csv")
    arms = v[(v.base == "AUGORIG") & (v.dataset == "mnist") & (v.protocol == "quick") & (v.frac == 1)].arm
    assert arms.tolist() == ["ROT", "CDCVAE", "DRAWN", "TINT"]
    for name in ("table1-domain.csv", "table2.csv"):
        ours = pd.read_csv(tmp_path/name, header=[0, 1], index_col=[0, 1, 2]).filter(like="ours")
        assert [a for _, a in ours.columns][-2:] == ["DRAWN", "TINT"], name
        assert ours.loc["mnist", "quick"].iloc[:, -2:].notna().all(axis=None), name
    shown = html(tmp_path/"report.ipynb")
    assert shown.count("TINT") >= 8 and shown.count("DRAWN") >= 8


def test_what_is_wrong_with_a_data_set_is_said_and_its_name_is_shown_as_it_is(tmp_path):
    "Not as a formula, nor as a tag."
    study, name = tmp_path/"study", "Ba$$in <b>& $x"
    twice = dict(pool=0, labels=2, test=0, test_in_pool=120)
    data = dict(pool="0", test="1", duplicates=twice, left_out={"in sub-folders": 3})
    for arm in ("ORIG", "AUGORIG", "ROT", "CDCGAN"):
        copied(study, arm, dataset=name, data=data, classes=[name, *"abcdefgh_"])
    for p in list(study.rglob("*.json")):
        if "cifar10-folder" in p.parts or "report-protocol" in p.parts: p.unlink()
    r = report(study, tmp_path)
    assert r.returncode == 0, r.stderr[-3000:]
    shown, safe = html(tmp_path/"report.ipynb"), "Ba$$in &lt;b&gt;&amp; $x"
    assert f"<b>{safe}</b>: <span" in shown and "120 test images are training images too" in shown
    assert "2 images stand under more than one label" in shown and "3 in sub-folders" in shown
    assert "unchecked" not in shown and name not in shown and shown.count(safe) >= 8
    assert all("mathjax_ignore" in table for table in re.findall("<table[^>]*>", shown))
    assert set(pd.read_csv(tmp_path/"verdicts.csv").dataset) == {name}


def test_two_folders_make_one_report(tmp_path):
    "Their domain features were trained apart: that is said, and each is correlated by itself."
    r = report("reports/main/quick,reports/figure2/float32", tmp_path)
    assert r.returncode == 0, r.stderr[-3000:]
    table = pd.read_csv(tmp_path/"table2.csv", header=[0, 1], index_col=[0, 1, 2])
    assert {("mnist", "quick", 5), ("mnist", "quick", 10)} <= set(table["ours"].dropna().index)
    assert "the domain features were trained 2 times" in html(tmp_path/"report.ipynb")
    kept, now = (pd.read_csv(folder/"verdicts.csv") for folder in (ROOT/"reports"/"figure2"/"report", tmp_path))
    pd.testing.assert_frame_equal(kept, now)


def test_a_study_without_records_is_refused(tmp_path):
    r = report(tmp_path, tmp_path)
    assert r.returncode != 0 and "has no record" in r.stderr.strip().splitlines()[-1]


def test_protocols_are_compared_on_what_is_there(tmp_path):
    r = papermill("nbs/protocols.ipynb", tmp_path/"p.ipynb", study=MAIN)
    assert r.returncode == 0, r.stderr[-3000:]
    said = "".join("".join(o["text"]) for o in outputs(tmp_path/"p.ipynb") if o.get("name") == "stdout")
    asked = r"ORIG and AUGORIG, [1-9]\d* cells of more than one seed: .* \(from [\d.]+ to [\d.]+ %\)"
    assert re.search(asked, said), said
    assert re.search(r"generators, [1-9]\d* cells", said), said


def test_the_study_of_learned_arms_is_read_as_far_as_it_is_there(tmp_path):
    r = papermill("reports/learned/learned.ipynb", tmp_path/"l.ipynb")
    assert r.returncode == 0, r.stderr[-3000:]
    assert "ELASTIC+MIXUP" in html(tmp_path/"l.ipynb")


@pytest.mark.slow
def test_the_tour_runs(tmp_path):
    assert papermill("nbs/index.ipynb", tmp_path/"index.ipynb").returncode == 0
    assert sum(bool(re.search("image/", str(o.get("data")))) for o in outputs(tmp_path/"index.ipynb")) >= 4
