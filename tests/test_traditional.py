"The arms that people use: groups, what suits the images, fresh draws, and names that are wrong."
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT, kernel_env
from ndaug.arms import GROUPS, Unsuited, drawn, get
from ndaug.data import ImageSet
from ndaug.params import read_params
from ndaug.study import open_cell, run_cell
from sklearn.datasets import load_sample_image

ASKED = dict(protocol="smoke", device="cpu", precision="float32", features="domain")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    "An archive of 120 colour images of two classes."
    path = tmp_path_factory.mktemp("pictures")/"pictures.npz"
    g, y = np.random.default_rng(0), np.arange(120) % 2
    x = g.integers(0, 128, (120, 16, 16, 3)) + 127*y[:, None, None, None]
    np.savez(path, x=x.astype(np.uint8), y=y)
    return path


def test_a_group_on_grey_images_leaves_out_colour_and_says_so(tmp_path, cache, capsys):
    records = run_cell(open_cell(read_params(arms="traditional", draws="fresh", frac=4, out=tmp_path, **ASKED)))
    assert [r["arm"] for r in records] == [a for a in GROUPS["traditional"] if a != "COLOR"]
    assert "COLOR is left out: the images of digits are grey" in capsys.readouterr().out
    for r in records:
        assert (r["failed"], r["n_synthetic"], r["protocol"]) == (None, 50, "smoke-fresh") and r["fid"]["domain"] > 0
    settings = {r["arm"]: r["config"]["arm"] for r in records}
    assert settings["FLIPCROP"]["mirror"] is False and settings["MIXUP"] == {"alpha": 1.}


def test_colour_is_refused_by_name_on_grey_images_before_any_work(tmp_path, cache):
    for arms in ("COLOR", "traditional,COLOR", "FLIPCROP+COLOR+CUTOUT", "ROT~COLOR"):
        with pytest.raises(ValueError) as e: open_cell(read_params(arms=arms, out=tmp_path, **ASKED))
        assert "digits are grey" in str(e.value) and str(e.value).endswith("leave it out.") and "\n" not in str(e.value)
    assert not list(tmp_path.rglob("*.json"))


def test_compositions_of_any_arms_have_records(tmp_path, cache, pictures, capsys):
    (tmp_path/"mine.py").write_text("def TINT(x): return x*.5")
    names = ["FLIPCROP+COLOR+CUTOUT", "TRIVIAL~MIXUP", "TINT+CUTMIX", "CDCVAE+ELASTIC"]
    arms = ",".join(names).replace("TINT", f"{tmp_path}/mine.py:TINT")
    records = run_cell(open_cell(read_params(dataset=pictures, frac=100, arms=arms, draws="fresh", out=tmp_path/"runs",
                                             **ASKED)))
    assert [r["arm"] for r in records] == names and not any(r["failed"] for r in records)
    assert records[0]["config"]["arm"]["FLIPCROP"]["mirror"] is True
    assert "FLIPCROP mirrors" in capsys.readouterr().out  # nobody has said whether these images may be mirrored


def test_mirroring_is_a_parameter(tmp_path, cache, pictures, capsys):
    arm, = open_cell(read_params(dataset=pictures, frac=100, arms="FLIPCROP", mirror=False, out=tmp_path,
                                 **ASKED)).params.arms.values()
    assert arm.mirror is False and "mirrors" not in capsys.readouterr().out


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", GROUPS["traditional"])
def test_images_of_128_pixels_are_transformed(name, channels):
    photo = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1)[:channels]
    x = torch.stack([photo[:, 30*i:30*i + 128, 60*i:60*i + 128] for i in range(8)])
    ds = ImageSet(x, torch.arange(8) % 2, ("a", "b"), "photo", mirror=True)
    if name == "COLOR" and channels == 1:
        with pytest.raises(Unsuited, match="are grey"): get(name).suited(ds)
        return
    arm = get(name).suited(ds).fit(ds)
    made, again, later = (drawn(arm, 16, seed=1, epoch=e).x for e in (0, 0, 1))
    assert made.shape == (16, channels, 128, 128) and torch.equal(made, again) and not torch.equal(made, later)
    changed = (made != x.repeat(2, 1, 1, 1)).flatten(1)
    assert changed.any(1).sum() >= 12 and changed.float().mean() > .03  # MIXUP may mix an image with itself
    assert made.float().std() > 20 and abs(made.float().mean() - x.float().mean()) < 40


@pytest.mark.parametrize("arms, words", [
    ("FLIPCROP+", "is no name of an arm"), ("FLIPCROP+COLOUR", "did you mean 'COLOR'"),
    ("~MIXUP", "is no name of an arm"), ("ELASTIC~~CUTMIX", "is no name of an arm"), ("ELASTIC+CDCVAE", "put it first"),
    ("traditional~ROT", "'traditional' is a group of arms"), ("MIXUP+ORIG", "adds no images"), ("Every", "'Every'")])
def test_a_mistake_in_a_name_gets_one_sentence(arms, words):
    with pytest.raises(ValueError) as e: read_params(arms=arms)
    assert words in str(e.value) and "\n" not in str(e.value), str(e.value)


SLOW = """
import sys, time
from ndaug import vgg
from ndaug.params import read_params
from ndaug.study import open_cell, run_cell
before = vgg.Redraw.before_train
def slower(self): # so that a kill finds it at work
    time.sleep(.2); print(f"\\nepoch {self.epoch}.", flush=True)
    before(self)
vgg.Redraw.before_train = slower
run_cell(open_cell(read_params(protocol="smoke", device="cpu", precision="float32", features="inception", epochs=8,
                               draws="fresh", ratio=.5, optimizer="amsgrad", arms="TRIVIAL+MIXUP~ELASTIC",
                               out=sys.argv[1])))
"""


def test_fresh_draws_go_on_to_the_bit_after_a_kill(tmp_path, cache):
    def start(out):
        env = kernel_env() | {"NDAUG_CHECKPOINT_SECONDS": "0", "NDAUG_INCEPTION": "none"}
        return subprocess.Popen([sys.executable, "-c", SLOW, str(out)], env=env, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, cwd=ROOT)

    p = start(tmp_path/"killed")
    for line in p.stdout:
        if line == "epoch 5.\n": break
    p.send_signal(signal.SIGKILL)
    p.communicate()
    for out in ("killed", "whole"):
        said, err = (p := start(tmp_path/out)).communicate()
        assert p.returncode == 0, err[-2000:]
        assert ("epoch 0." in said) == (out == "whole") and "epoch 7." in said
    name = os.path.join("digits", "10", "0", "TRIVIAL+MIXUP~ELASTIC.json")
    killed, whole = (json.loads((tmp_path/d/name).read_text()) for d in ("killed", "whole"))
    assert killed["seconds_resumed"] and killed["protocol"] == "smoke-8-fresh-x0.5-amsgrad"
    assert (killed["n_synthetic"], killed["epochs"]) == (63, 8)
    for k in ("history", "test_accuracy", "right", "config"): assert killed[k] == whole[k], k


def test_a_study_file_takes_groups_and_changes_of_the_protocol(tmp_path):
    (tmp_path/"my.yaml").write_text("datasets: digits\nfracs: 10\nseeds: 0\narms: [ORIG, traditional]\nratio: 2\n"
                                    f"draws: fresh\nprotocol: smoke\nout: {tmp_path}/out\n")
    r = subprocess.run([sys.executable, "-m", "snakemake", "-s", "reports/Snakefile", "-n", "-p", "--cores", "1",
                        "--configfile", str(tmp_path/"my.yaml")], capture_output=True, text=True, cwd=ROOT)
    assert r.returncode == 0, r.stderr[-2000:]
    commands = [line for line in r.stdout.splitlines() if "-p arms" in line]
    assert len(commands) == 1 + len(GROUPS["traditional"]) - 1 and not any("-p arms COLOR" in c for c in commands)
    assert all("-p draws fresh -p ratio 2" in c for c in commands) and "COLOR is left out" in r.stderr
    r = subprocess.run([sys.executable, "reports/plan.py", str(tmp_path/"my.yaml")], capture_output=True, text=True,
                       cwd=ROOT)
    assert "smoke-fresh-x2" in r.stdout and f"0 of {len(commands) + 1} jobs" in r.stdout, r.stderr
