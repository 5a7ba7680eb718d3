"The grid: its plan, what it costs, and that kills lose nothing; on this machine and through Slurm."
import importlib.util
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT, without_times
from ndaug.arms import ARMS
from ndaug.studyfile import READ, check_study, study_file

BIN = Path(sys.executable).parent
SNAKEMAKE = BIN/"snakemake"


def snakemake(*args):
    return [str(SNAKEMAKE), "-s", str(ROOT/"reports"/"Snakefile"), *map(str, args)]


def dry_run(*args, cores=1):
    "What the grid would do, without doing it."
    command = snakemake("-n", "--cores", cores, *args)
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def planned(file):
    "What `reports/plan.py` says of a study file."
    return subprocess.run([sys.executable, "reports/plan.py", str(file)], capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def plan():
    spec = importlib.util.spec_from_file_location("plan", ROOT/"reports"/"plan.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_plan_of_the_whole_grid_has_every_job():
    r = dry_run("-q", "rules", "--config", "out=reports/runs/nothing-there", cores=2)
    counts = {w[0]: int(w[1]) for line in r.stdout.splitlines() if len(w := line.split()) == 2 and w[1].isdigit()}
    assert r.returncode == 0, r.stderr
    expected = {"features": 2, "images": 52, "arm": 182, "report": 1}
    assert {k: counts[k] for k in expected} == expected


def test_on_a_volume_of_kubernetes_every_file_is_there_and_nowhere_else():
    r = dry_run("--config", "datasets=[digits]", "fracs=[10]", "arms=[ORIG,CDCGAN]", "code=keep",
                "out=reports/runs/nothing-there", f"volume={ROOT}", cores=2)
    assert r.returncode == 0, r.stderr
    files = []
    for line in r.stdout.splitlines():
        kind, _, names = line.partition(":")
        if kind.strip() in ("input", "output", "log"):
            files += names.replace("(update)", "").split(",")
    assert len(files) > 10 and all(f.strip().startswith(f"{ROOT}/") for f in files)


def test_an_unknown_arm_is_refused():
    r = dry_run("--config", "arms=[ORIG,ROTT]")
    assert r.returncode != 0 and "arms='ROTT' is unknown" in r.stdout + r.stderr


@pytest.mark.parametrize("text, said", [
    ("seed: [0, 1]", "did you mean 'seeds'"), ("seeds: [0]\nseeds: [1]", "the key seeds comes twice")])
def test_a_wrong_study_file_is_refused_by_both_before_any_plan(text, said, tmp_path):
    file = tmp_path/"my.yaml"
    file.write_text(f"arms: ORIG\n{text}\n")
    r = dry_run("--configfile", file)
    assert r.returncode != 0 and said in r.stdout + r.stderr and "Traceback" not in r.stderr
    r = planned(file)
    assert r.returncode == 1 and said in r.stderr and len(r.stderr.splitlines()) == 1


def test_single_words_are_lists_of_one_for_both(tmp_path):
    file = tmp_path/"my.yaml"
    file.write_text("datasets: digits\nfracs: 10\nseeds: 0, 1\narms: ORIG,ROT\nfeatures: [inception, domain]\n"
                    f"protocol: smoke\ndata_dir:\nout: {tmp_path}/out\n")
    r = dry_run("-p", "--configfile", file)
    assert r.returncode == 0 and "-p features domain,inception -p" in r.stdout
    assert sum("-p arms" in line for line in r.stdout.splitlines()) == 4
    r = planned(file)
    assert r.returncode == 0 and "1 data sets, 1 sizes, 2 seeds" in r.stdout and "0 of 5 jobs" in r.stdout


def test_values_of_the_command_line_are_checked_too():
    r = dry_run("-q", "rules", "--config", "datasets=digits", "fracs=10,20", "seeds=0", "arms=ORIG", "data_dir=",
                "out=reports/runs/nothing-there")
    assert r.returncode == 0 and "arm             2" in r.stdout
    assert "did you mean 'threads'" in (r := dry_run("--config", "thread=1")).stdout + r.stderr


def test_the_default_study_has_the_keys_that_are_read():
    default = yaml.safe_load((ROOT/"reports"/"study.yaml").read_text())
    assert check_study(default) == default and list(READ) == list(default)
    for file in (ROOT/"reports"/"main").glob("*.yaml"):
        assert check_study(default | study_file(file))["code"] == "keep"


def test_names_with_spaces_are_quoted_and_two_folders_of_one_name_refused(tmp_path):
    def dry(*datasets):
        return dry_run("-p", "--config", f"datasets={list(datasets)}", "fracs=[10]", "arms=[ORIG]",
                       "size=48", "fit=letterbox", f"out={tmp_path}/my out")

    for d in ("a/my pets", "b/my pets"):
        (tmp_path/d).mkdir(parents=True)
    r = dry(f"{tmp_path}/a/my pets")
    command = next(line for line in r.stdout.splitlines() if "-p arms ORIG" in line and "-p part" not in line)
    words = shlex.split(command.split("papermill ")[1])
    assert words[1] == f"{tmp_path}/my out/my pets/10/0/ORIG.ipynb"
    assert {f"{tmp_path}/my out", f"{tmp_path}/a/my pets", ""} < set(words)
    assert "-p size 48 -p fit letterbox" in command
    r = dry(f"{tmp_path}/a/my pets", f"{tmp_path}/b/my pets")
    assert r.returncode != 0 and "a folder name of its own" in r.stdout + r.stderr


def test_costs_by_hand(plan):
    study = dict(datasets=["mnist"], fracs=[1], seeds=[0], arms=["ORIG", "CDCGAN"],
                 protocol="quick", out="none", data_dir="")
    rate = {("mnist", "arm"): .01, ("mnist", "CDCGAN"): .1}
    jobs = plan.jobs(study, rate)
    evaluated = (5_000 + 10_000)/4
    features, orig = .01*(85_000 + 17_500/4), .01*(425*30 + evaluated)
    assert [round(v[1], 6) for v in jobs.values()] == [features, orig, .1*900, .01*(850*30 + evaluated)]


def test_large_images_cost_more(plan, tmp_path):
    rng = np.random.default_rng(0)
    for side in (32, 64):
        np.savez(tmp_path/f"s{side}.npz", x=rng.integers(0, 256, (40, side, side), dtype=np.uint8), y=np.arange(40) % 2)
    study = dict(datasets=[f"{tmp_path}/s32.npz", f"{tmp_path}/s64.npz"], fracs=[100], seeds=[0], arms=["ORIG"],
                 protocol="quick", out="none", data_dir="", size=None, fit="", skip_unreadable="", folds="")
    jobs = plan.jobs(study, {("mnist", "arm"): .01})
    assert jobs["s64/100/0/ORIG"][1] == pytest.approx(4*jobs["s32/100/0/ORIG"][1])


def test_wall_times_by_hand(plan):
    def job(seconds, *needs): return "", seconds, needs, None

    jobs = {"a": job(4.), "b": job(3., "a"), "c": job(2., "a"), "d": job(1., "b"), "e": job(5.)}
    assert [plan.wall_time(jobs, w) for w in (1, 2, 3)] == [15, 8, 8]  # a and e, then b and c, then d: 4 + 3 + 1


def test_rates_are_those_of_the_records(plan):
    rec = json.loads(next((ROOT/"reports"/"main").rglob("quick/mnist/1/0/CDCGAN.json")).read_text())
    rate = plan.rates([rec])
    assert set(rate) == {("mnist", "CDCGAN"), ("mnist", "arm")}
    assert rate["mnist", "CDCGAN"] == rec["seconds_parts"]["images"]/900
    assert plan.rates([rec | {"failed": "yes"}, rec | {"protocol": "quick-50"}]) == {}


def records(out):
    "By their place in the study."
    return {str(p.relative_to(out)): without_times(p) for p in out.rglob("*.json") if p.stem in ARMS}


def study(tmp, out):
    small = dict(datasets=["digits"], fracs=[10, 20], seeds=[0, 1], protocol="smoke", out=str(out), threads=1)
    file = tmp/f"{out.name}.yaml"
    file.write_text(yaml.safe_dump(small))
    return file


def run_and_kill(tmp, out, kills, *args, kill_job=lambda: None):
    "Run a small study; kill -9 snakemake (and a job) so many times; go on. How many versions had each record?"
    env = os.environ | {"NDAUG_CACHE": str(tmp/"cache"), "NDAUG_INCEPTION": "", "NDAUG_CHECKPOINT_SECONDS": "0"}
    env["PATH"] = f"{BIN}:{os.environ['PATH']}"
    command = snakemake("--configfile", study(tmp, out), "--rerun-incomplete", "--keep-going", *args)
    written, rng = {}, random.Random(0)

    def look():
        for p in out.rglob("*.json"):
            if p.stem in ARMS:
                written.setdefault(str(p), set()).add(p.read_bytes())  # one made again has other times in it

    for kill in range(kills + 1):
        with open(tmp/f"{out.name}.log{kill}", "w") as log:
            p = subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True, stdout=log, stderr=log)
        until = time.time() + rng.uniform(60, 90) if kill < kills else float("inf")
        while p.poll() is None and time.time() < until:
            time.sleep(.5)
            look()
        if p.poll() is None:
            os.killpg(p.pid, signal.SIGKILL)
            kill_job()
            p.wait()
            subprocess.run([*command, "--unlock"], cwd=ROOT, env=env, capture_output=True, check=True)
    look()
    assert p.returncode == 0, (tmp/f"{out.name}.log{kills}").read_text()[-3000:]
    return {k: len(v) for k, v in written.items()}


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("grid")

    def kill_job():
        subprocess.run(["pkill", "-9", "-f", str(tmp/"local")])

    return tmp, run_and_kill(tmp, tmp/"local", 2, "--cores", 2, kill_job=kill_job)


@pytest.mark.slow
def test_killed_and_run_again_no_record_is_lost_or_made_twice(local):
    tmp, written = local
    assert len(written) == 28 and set(written.values()) == {1}
    assert (tmp/"local"/"report"/"verdicts.csv").exists()
    r = dry_run("--configfile", study(tmp, tmp/"local"))
    assert "Nothing to be done" in r.stdout + r.stderr


@pytest.mark.slow
def test_slurm_gives_the_same_records(request):
    # a Slurm needs root and a machine that has no other, so not every machine can have one
    if not shutil.which("sinfo") or subprocess.run(["sinfo"], capture_output=True, timeout=60).returncode != 0:
        pytest.skip("no Slurm is running: sudo bash tests/slurm.sh")
    if not importlib.util.find_spec("snakemake_executor_plugin_slurm"):
        pytest.skip("snakemake has no plugin for Slurm here: pip install 'ndaug[cluster]'")
    tmp, _ = request.getfixturevalue("local")

    def kill_job():
        running = subprocess.run(["squeue", "-h", "-o", "%i"], capture_output=True, text=True).stdout.split()
        if running:
            subprocess.run(["scancel", "-s", "KILL", *running])

    slurm = ["--executor", "slurm", "-j", 2, "--slurm-no-account", "--slurm-status-command", "squeue",
             "--slurm-init-seconds-before-status-checks", 2, "--default-resources", "slurm_partition=main",
             "--latency-wait", 5]
    written = run_and_kill(tmp, tmp/"slurm", 1, *slurm, kill_job=kill_job)
    assert len(written) == 28 and set(written.values()) == {1}
    assert records(tmp/"slurm") == records(tmp/"local")
