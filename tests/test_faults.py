"What happens on shared machines: kills, two processes at once, and files that hold code."
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, without_times

RUN = """
import sys
from ndaug.params import read_params
from ndaug.study import open_cell, run_cell
small = dict(protocol="smoke", frac=5, device="cpu", precision="float32", epochs=3)
run_cell(open_cell(read_params(out=sys.argv[1], arms=sys.argv[2], **small)))
"""
ARM = "CDCGAN"  # learns, and trains the classifier


def start(out, cache=None, **kwargs):
    env = os.environ | {"NDAUG_CHECKPOINT_SECONDS": "0", "NDAUG_INCEPTION": "", "OMP_NUM_THREADS": "1"}
    env["NDAUG_CACHE"] = str(cache or out/"cache")
    command = [sys.executable, "-c", RUN, str(out), ARM]
    return subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)


def results(out):
    "Records without their times, and the pictures."
    cell = out/"digits"/"5"/"0"
    recs = {p.name: without_times(p) for p in cell.glob("*.json")}
    return recs, {p.name: p.read_bytes() for p in cell.glob("*.png")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    "A run that nothing disturbs, from an empty cache; and the seconds from its first word to its end."
    out = tmp_path_factory.mktemp("whole")
    p = start(out)
    p.stdout.readline()  # imports and data are behind it
    t = time.time()
    _, err = p.communicate()
    assert p.returncode == 0, err[-3000:]
    return out, time.time() - t


def kill_and_resume(whole, tmp, kills):
    "Start, kill, start again until a run ends by itself; and so on with new ones until there were `kills`."
    reference, seconds = whole
    rng, done, resumed = random.Random(kills), 0, 0
    while done < kills:
        out, ended = tmp/str(done), False
        while not ended:
            p = start(out)
            p.stdout.readline()
            try:
                said, err = p.communicate(timeout=rng.uniform(0, .7)*seconds if done < kills else None)
                assert p.returncode == 0, err[-3000:]
                ended = True
            except subprocess.TimeoutExpired:
                p.send_signal(signal.SIGKILL)
                said, _ = p.communicate()
                done += 1
            resumed += "resuming from " in said
        assert results(out) == results(reference)
        assert not list((out/"digits"/"5"/"0"/".unfinished").glob("*.safetensors"))
    return resumed


def test_killed_at_random_moments_it_ends_in_the_same_records(whole, tmp_path):
    kill_and_resume(whole, tmp_path, 2)


@pytest.mark.slow
def test_killed_twenty_times_it_ends_in_the_same_records(whole, tmp_path):
    assert kill_and_resume(whole, tmp_path, 20) > 0, "no training was gone on with"


def test_two_processes_at_the_same_arm_do_its_work_once(whole, tmp_path):
    reference, _ = whole
    ps = [start(tmp_path, cache=reference/"cache") for _ in range(2)]
    said = [p.communicate()[0] for p in ps]
    assert [p.returncode for p in ps] == [0, 0]
    recs = results(tmp_path)[0]
    assert recs["CDCGAN.json"] == results(reference)[0]["CDCGAN.json"]
    assert not json.loads((tmp_path/"digits"/"5"/"0"/"CDCGAN.json").read_text())["seconds_resumed"]
    assert all("% of test images right" in s for s in said)


RUNS_CODE = (
    r"\b(import|from)\s+(pickle|dill|cloudpickle|joblib)\b",
    r"allow_pickle\s*=\s*True",
    r"(?<!\.)\b(eval|exec)\(",
    r"torch\.save\(",
    r"yaml\.(unsafe_|full_)?load\(",
)


def test_nothing_that_a_user_gives_can_run_code():
    "Neither the package nor the grid's scripts unpickle, evaluate, or load YAML that could."
    files = [*(ROOT/"ndaug").glob("*.py"), ROOT/"reports"/"plan.py", ROOT/"reports"/"Snakefile"]
    assert len(files) > 10
    for f in files:
        text = f.read_text()
        for pattern in RUNS_CODE:
            assert not re.search(pattern, text), f"{f}: {pattern}"
        for call in re.findall(r"torch\.load\([^)]*\)", text):
            assert "weights_only=True" in call, f"{f}: {call}"
