"nbs/report.ipynb on records as they come: of several seeds, of a study that has only begun, and of none."
import json
import re
import subprocess
import sys

import pandas as pd
import pytest
from conftest import ROOT


def report(study, out):
    return subprocess.run([sys.executable, "-m", "papermill", str(ROOT/"nbs"/"report.ipynb"), str(out/"report.ipynb"), "-k", "python3", "--no-progress-bar", "-p", "study", str(study), "-p", "out", str(out)],
                          capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize("arms", ["all", "ORIG", "BLUR"])
def test_real_records_become_a_report(tmp_path, arms):
    study = ROOT/"reports"/"main"
    if arms != "all":
        for p in study.rglob(f"{arms}.json"):
            (q := tmp_path/"study"/p.relative_to(study)).parent.mkdir(parents=True, exist_ok=True)
            q.write_bytes(p.read_bytes())
        study = tmp_path/"study"
    r = report(study, tmp_path)
    assert r.returncode == 0, r.stderr[-3000:]
    outputs = [o for c in json.loads((tmp_path/"report.ipynb").read_text())["cells"] for o in c.get("outputs", [])]
    html = "".join("".join(o["data"].get("text/html", "")) for o in outputs if "data" in o)
    assert "published" in html and all(word in html for word in ("AUGORIG", "ROTBLUR"))
    table = (tmp_path/"table2.csv").read_text()
    arm = "ORIG" if arms == "all" else arms
    ours = [json.loads(p.read_text())["test_accuracy"] for p in study.rglob("quick/mnist/1/*/*.json") if p.stem == arm]
    numbers = [float(w) for w in re.split("[,\n]", table) if re.fullmatch(r"[\d.]+", w)]
    assert ours and any(abs(v - sum(ours)/len(ours)) < 1e-6 for v in numbers)  # the mean over seeds
    if arms == "all":
        assert (tmp_path/"verdicts.png").stat().st_size > 1000
        kept, now = (pd.read_csv(folder/"verdicts.csv") for folder in (study/"report", tmp_path))
        pd.testing.assert_frame_equal(kept, now)  # make report STUDY=reports/main, once there are new records


def test_a_study_without_records_is_refused(tmp_path):
    r = report(tmp_path, tmp_path)
    assert r.returncode != 0 and "has no record" in r.stderr.strip().splitlines()[-1]


def test_protocols_are_compared_on_what_is_there(tmp_path):
    r = subprocess.run([sys.executable, "-m", "papermill", str(ROOT/"nbs"/"protocols.ipynb"), str(tmp_path/"p.ipynb"), "-k", "python3", "--no-progress-bar", "-p", "study", str(ROOT/"reports"/"main")], capture_output=True, text=True, cwd=ROOT)
    assert r.returncode == 0, r.stderr[-3000:]
    said = "".join("".join(o["text"]) for c in json.loads((tmp_path/"p.ipynb").read_text())["cells"] for o in c.get("outputs", []) if o.get("name") == "stdout")
    assert re.search(r"ORIG and AUGORIG, [1-9]\d* cells of more than one seed: .* \(from [\d.]+ to [\d.]+ %\)", said), said
    assert re.search(r"generators, [1-9]\d* cells", said), said
