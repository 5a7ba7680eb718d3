"Arms from outside the package: run, report, plan and a grid, killed and resumed; and bad ones, one sentence each."
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT, kernel_env, papermill

MINE = '''
from dataclasses import dataclass, replace

import torch
from ndaug.arms import Arm
from ndaug.training import Generator


def TINT(x, y, s):
    "Plain function: each image darker by a factor of its own."
    return x*(.5 + .5*torch.rand(len(x), 1, 1, 1, generator=s("factor"))), y


@dataclass(frozen=True)
class Noise(Arm):
    "With a setting; different in every epoch where draws are fresh."
    sigma: float = .1

    def apply(self, x, y, s):
        return (x + self.sigma*torch.randn(x.shape, generator=s("noise"))).clamp(0, 1), y

NOISE = Noise()


def BLEND(x, y, s):
    "Pairs of images, and soft labels."
    other = torch.randperm(len(x), generator=s("pair"))
    w = torch.rand(len(x), 1, generator=s("weight"))
    y = torch.nn.functional.one_hot(y, 10).float()
    return w[..., None, None]*x + (1 - w)[..., None, None]*x[other], w*y + (1 - w)*y[other]


@dataclass(frozen=True)
class MeansConfig:
    bs: int = 32


class Means(torch.nn.Module):
    "Learns the mean image of each class."
    def __init__(self, shape, n_classes, cfg):
        super().__init__()
        self.net, self.bs = torch.nn.Embedding(n_classes, shape[0]*shape[1]*shape[2]), cfg.bs
        self.shape, self.opt = shape, torch.optim.Adam(self.net.parameters(), lr=.05)

    @property
    def sampler(self): return self.net
    def draw_z(self, n, g=None): return torch.randn(n, 1, generator=g)
    def decode(self, z, y): return (self.net(y).sigmoid() + .05*z).clamp(0, 1).view(-1, *self.shape)

    def step(self, xb, yb):
        loss = (self.net(yb).sigmoid() - xb.flatten(1)).square().mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return {"square": loss}


@dataclass(frozen=True)
class MeansArm(Generator):
    cfg: MeansConfig = MeansConfig()
    model = Means

MEANS = MeansArm()
'''
NAMES = ("TINT", "NOISE", "BLEND", "MEANS")
FRESH = ("BLEND", "MEANS")


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    path = tmp_path_factory.mktemp("user")/"mine.py"
    path.write_text(MINE)
    return path


def specs(mine, names=NAMES): return ",".join(f"{mine}:{n}" for n in names)


def record(out, arm, frac=5):
    return json.loads((out/"digits"/str(frac)/"0"/f"{arm}.json").read_text())


@pytest.fixture(scope="module")
def ran(tmp_path_factory, cache, mine):
    "A cell with the four arms, and compositions of them with arms of the list."
    d = tmp_path_factory.mktemp("arms")
    for draws in ("once", "fresh"):
        arms = specs(mine, NAMES if draws == "once" else FRESH)
        if draws == "once": arms += f",ORIG,AUGORIG,{mine}:MEANS+{mine}:TINT,ROT~{mine}:BLEND"
        r = papermill(d, protocol="smoke", frac=5, draws=draws, arms=arms, out=d/draws)
        assert r.returncode == 0, r.stderr[-3000:]
        (d/"out.ipynb").rename(d/f"{draws}.ipynb")
    return d


def test_a_users_arms_have_records_pictures_and_rows(ran):
    kinds = {"TINT": "traditional", "NOISE": "traditional", "BLEND": "traditional", "MEANS": "generated",
             "MEANS+TINT": "generated", "ROT~BLEND": "traditional"}
    for arm, kind in kinds.items():
        rec = record(ran/"once", arm)
        assert (rec["kind"], rec["n_synthetic"], rec["failed"]) == (kind, 63, None)
        assert rec["fid"]["domain"] > 0 and 0 <= rec["test_accuracy"] <= 100
        assert (ran/"once"/"digits"/"5"/"0"/f"{arm}.png").exists()
    assert record(ran/"once", "NOISE")["config"]["arm"]["sigma"] == .1
    assert len(record(ran/"once", "TINT")["config"]["arm"]["file"]) == 64
    assert list(record(ran/"once", "MEANS")["losses"]) == ["square"]
    html = (ran/"once.ipynb").read_text()
    assert all(arm in html for arm in kinds)


def test_a_composition_finds_what_its_part_has_learned(ran):
    alone, chained = (record(ran/"once", a)["fits"] for a in ("MEANS", "MEANS+TINT"))
    assert [f["name"] for f in alone] == [f["name"] for f in chained] and len(alone) == 1


def test_fresh_draws_differ_from_the_second_epoch_on(ran):
    for arm in FRESH:
        once, fresh = (record(ran/d, arm) for d in ("once", "fresh"))
        assert fresh["protocol"] == "smoke-fresh"
        assert once["fid"] == fresh["fid"]  # of the first epoch's draw
        losses = [r["history"]["train_loss"] for r in (once, fresh)]
        assert losses[0][0] == losses[1][0] and losses[0][1] != losses[1][1], arm


def test_the_report_takes_any_arm(ran, tmp_path):
    r = papermill(tmp_path, notebook="report", study=ran, out=tmp_path)
    assert r.returncode == 0, r.stderr[-3000:]
    verdicts = (tmp_path/"verdicts.csv").read_text()
    assert all(arm in verdicts for arm in (*NAMES, "MEANS+TINT", "ROT~BLEND"))
    assert all(arm in (tmp_path/"table2.csv").read_text() for arm in (*NAMES, "MEANS+TINT", "ROT~BLEND"))


def study_file(tmp, mine, **more):
    import yaml
    study = dict(datasets=["digits"], fracs=[5], seeds=[0, 1], arms=["AUGORIG", f"{mine}:MEANS+ROT"],
                 protocol="smoke", out=str(tmp/"grid"), threads=1, code="keep") | more
    (tmp/"study.yaml").write_text(yaml.safe_dump(study))
    return tmp/"study.yaml"


def test_the_plan_takes_any_arm(tmp_path, mine, cache):
    r = subprocess.run([sys.executable, "reports/plan.py", str(study_file(tmp_path, mine)), "--workers", "1"],
                       capture_output=True, text=True, cwd=ROOT, env=kernel_env())
    assert r.returncode == 0, r.stderr[-2000:]
    jobs = {w[0]: w[2] for line in r.stdout.splitlines() if len(w := line.split()) == 5 and w[0] in ("images", "arm")}
    assert jobs == {"images": "2", "arm": "4"}


def test_a_grid_of_two_cells_takes_any_arm(tmp_path, mine, cache):
    command = [sys.executable, "-m", "snakemake", "-s", "reports/Snakefile", "--cores", "2", "--configfile",
               str(study_file(tmp_path, mine))]
    r = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=kernel_env())
    assert r.returncode == 0, r.stderr[-3000:]
    found = sorted(str(p.relative_to(tmp_path/"grid"/"digits"/"5")) for p in (tmp_path/"grid").rglob("[01]/*.json"))
    each = ["AUGORIG.json", "MEANS+ROT.images.json", "MEANS+ROT.json"]
    assert found == [f"{seed}/{f}" for seed in (0, 1) for f in each]
    assert "MEANS+ROT" in (tmp_path/"grid"/"report"/"verdicts.csv").read_text()


SLOW = """
import sys, time
from dataclasses import replace
from ndaug import training
from ndaug.params import PROTOCOLS, read_params
from ndaug.schedules import Budget
from ndaug.study import open_cell, run_cell
PROTOCOLS["smoke"] = replace(PROTOCOLS["smoke"], budget=Budget(epochs=12, average=.9))
step = training.Loop.__call__
def slower(self, event): # so that a kill finds it at work
    if event == "before_epoch": time.sleep(.2); print(f"\\nepoch {self.epoch}.", flush=True)
    step(self, event)
training.Loop.__call__ = slower
asked = dict(protocol="smoke", frac=5, device="cpu", precision="float32", features="inception")
run_cell(open_cell(read_params(**asked, out=sys.argv[1], arms=sys.argv[2])))
"""


def test_a_trained_arm_is_resumed_after_a_kill(tmp_path, mine, cache):
    def start(out, cache_dir):
        env = kernel_env() | {"NDAUG_CHECKPOINT_SECONDS": "0", "NDAUG_CACHE": str(cache_dir), "NDAUG_INCEPTION": "none"}
        return subprocess.Popen([sys.executable, "-c", SLOW, str(out), f"{mine}:MEANS"], env=env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)

    p = start(tmp_path/"killed", tmp_path/"cache1")
    for line in p.stdout:
        if line == "epoch 7.\n": break
    p.send_signal(signal.SIGKILL)
    p.communicate()
    said, err = (p := start(tmp_path/"killed", tmp_path/"cache1")).communicate()
    assert p.returncode == 0, err[-2000:]
    assert "resuming from " in said and "epoch 0." not in said and "epoch 11." in said
    p = start(tmp_path/"whole", tmp_path/"cache2")
    assert (p.communicate(), p.returncode)[1] == 0
    killed, whole = (record(tmp_path/d, "MEANS") for d in ("killed", "whole"))
    assert killed["seconds_resumed"] and not whole["seconds_resumed"]
    for k in ("losses", "fid", "history", "test_accuracy", "right"): assert killed[k] == whole[k], k


@pytest.mark.parametrize("code, words", [
    ("def A(x, y, s): return x[1:], y", "arm A: apply gave images of shape (15, 1, 28, 28), expected (16, 1, 28, 28)"),
    ("def A(x, y, s): return x[:, :, 1:], y", "images of shape (16, 1, 27, 28)"),
    ("def A(x, y, s): return (x*255).byte(), y", "images of type torch.uint8, expected a float tensor"),
    ("def A(x, y, s): return x*255, y", "pixels from 0 to 255, expected 0 to 1: clamp them"),
    ("def A(x, y, s): return x, y + 10", "expected 0 to 9: keep to the classes"),
    ("def A(x, y, s): return x, y[1:]", "15 labels for 16 images"),
    ("def A(x, y, s): return x, y[:, None].expand(-1, 10)*1.", "give distributions"),
    ("def A(x, y, s): return x/0*0, y", "pixels from nan to nan"),
    ("def A(x, y, s): return x, y, s", "too many values to unpack"),
    ("def A(x, y, s): raise KeyError('angle')", "drawing 16 images failed (KeyError: 'angle'): correct the arm"),
    ("A = 3", "is a int: give an ndaug.arms.Arm or a function on a batch"),
    ("B = 3", "has nothing called 'A'"),
    ("import nothing_of_that_name", "cannot be run (ModuleNotFoundError"),
    ("def A(x): return x\ndef ORIG(x): return x", "ORIG is an arm of the list: give yours another name"),
    (None, "there is no file"),
])
def test_bad_arms_get_one_sentence_before_any_training(tmp_path, cache, code, words):
    from ndaug.params import read_params
    from ndaug.study import open_cell
    if code: (tmp_path/"bad.py").write_text("import torch\n" + code)
    name = "ORIG" if code and "ORIG" in code else "A"
    with pytest.raises(ValueError) as e:
        arms = f"ROT,{tmp_path}/bad.py:{name}"
        open_cell(read_params(arms=arms, protocol="smoke", device="cpu", out=tmp_path/"runs"))
    assert words in str(e.value) and "\n" not in str(e.value), str(e.value)
    assert not list(tmp_path.rglob("*.json"))


def test_two_arms_of_one_name_and_mistakes_in_compositions(tmp_path, mine):
    from ndaug.params import read_params
    (tmp_path/"other.py").write_text("def TINT(x): return x")
    for arms, words in ((f"{mine}:TINT,{tmp_path}/other.py:TINT", "would both be called TINT"),
                        ("ROT+", "no name of an arm"), ("ROT+CDCVAE", "CDCVAE makes images of its own"),
                        ("ROT~ORIG", "ORIG adds no images"), ("ROT+BLURR", "did you mean 'BLUR'")):
        with pytest.raises(ValueError) as e: read_params(arms=arms)
        assert words in str(e.value), str(e.value)


def test_another_version_of_a_users_file_is_another_configuration(ran, tmp_path, mine):
    import shutil
    from ndaug.params import read_params
    from ndaug.study import open_cell
    changed = tmp_path/"mine.py"
    changed.write_text(MINE + "\n# changed\n")
    shutil.copytree(ran/"once", tmp_path/"runs")
    for path, fails in ((mine, False), (changed, True)):
        asked = dict(protocol="smoke", frac=5, device="cpu", precision="float32")
        params = read_params(**asked, arms=f"{path}:TINT", out=tmp_path/"runs")
        if not fails: open_cell(params)
        else:
            with pytest.raises(ValueError, match="TINT.json is a record of another configuration .config.arm.file"):
                open_cell(params)


MNIST = Path(os.environ.get("NDAUG_DATA", "none"))/"MNIST"


@pytest.mark.skipif(not MNIST.is_dir(), reason="needs MNIST in NDAUG_DATA")
def test_records_of_earlier_versions_count_as_done(cache):
    "Those of the seven arms in reports/main, which hold settings in the form of version 0.1."
    from ndaug.params import read_params
    from ndaug.study import done, open_cell
    cell = open_cell(read_params(dataset="mnist", frac=1, arms="all", protocol="quick", precision="bfloat16",
                                 device="cpu", features="domain", out=ROOT/"reports"/"main"/"quick"))
    assert all(done(cell.run(arm)) for arm in cell.params.arms)
    with pytest.raises(ValueError, match="CDCVAE.json is a record of another configuration .config.arm.cfg.lr"):
        done(replace_lr(cell.run("CDCVAE")))


def replace_lr(run):
    run.arm = run.arm.learned(cfg=replace(run.arm.cfg, lr=1e-3))
    return run
