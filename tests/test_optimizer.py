"""AMSGrad, weight decay and label smoothing: resumed to the bit, and what torch makes of them."""
from dataclasses import replace

import pytest
import torch
from torch import nn

from ndaug.arms import drawn, get
from ndaug.cdcgan import CDCGAN, CDCGANConfig
from ndaug.core import Checkpoint
from ndaug.data import load, split, subset
from ndaug.fast import Adam, Wide, speed_up
from ndaug.nets import NetConfig
from ndaug.schedules import PROTOCOLS, Schedule
from ndaug.training import Epochs, amsgrad, fit
from ndaug.vgg import fit_classifier


@pytest.fixture(scope="module")
def digits(): return split(*load("digits"))


class Killed(KeyboardInterrupt): "Which fastai lets through."


@pytest.fixture
def kill(monkeypatch):
    "Break a training off before an epoch."
    def at(epoch):
        def before_epoch(self):
            if self.epoch == epoch: raise Killed
            return draw(self)
        monkeypatch.setattr(Epochs, "before_epoch", before_epoch)
    draw = Epochs.before_epoch
    return at


def same(a, b):
    for k, v in a.state_dict().items(): assert v.equal(b.state_dict()[k]), k


def test_a_classifier_is_resumed_to_the_bit(digits, tmp_path, kill):
    train, val = subset(digits.train, 2), digits.val[:50]
    train = replace(train, x=train.x.expand(-1, 3, -1, -1)) # batch normalisation, and memory in channels_last
    val = replace(val, x=val.x.expand(-1, 3, -1, -1))
    rot = get("ROT").fit(train)
    schedule = Schedule(4, 20, 2e-3, True, .5, "last", optimizer="amsgrad", dropout=.3, weight_decay=.1, smoothing=.1)
    def run(checkpoint=None):
        fresh = lambda epoch: train + drawn(rot, len(train), epoch=epoch)
        return fit_classifier(fresh(0), val, schedule, progress=False, precision="bfloat16", fresh=fresh,
                       checkpoint=checkpoint)
    whole, checkpoint = run(), lambda: Checkpoint(tmp_path/"c.safetensors", {"of": "a check"}, every=0)
    kill(2)
    with pytest.raises(Killed): run(checkpoint())
    assert any(k.endswith("max_exp_avg_sq") for k in checkpoint().load()[0])
    kill(None)
    again = run(checkpoint())
    assert again.history == whole.history
    same(again.model, whole.model)


def test_a_generator_is_resumed_to_the_bit(digits, tmp_path, kill):
    train = subset(digits.train, 10)
    def run(checkpoint=None):
        torch.manual_seed(0)
        model = CDCGAN(train.shape, 10, CDCGANConfig(net=NetConfig(fc=256, conv=32)))
        amsgrad(model)
        model = speed_up(model, precision="bfloat16")
        return model, fit(model, train, 6, progress=False, average=.9, checkpoint=checkpoint)
    checkpoint = lambda: Checkpoint(tmp_path/"c.safetensors", {"of": "a check"}, every=0)
    whole, history = run()
    kill(3)
    with pytest.raises(Killed): run(checkpoint())
    kill(None)
    again, resumed = run(checkpoint())
    assert resumed == history
    same(again, whole)


def test_amsgrad_of_wide_layers_is_torchs():
    "On gradients that shrink, so that the maximum is not the last value."
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(1024, 1024)
            self.opt = torch.optim.Adam(self.parameters(), lr=1e-2, betas=(.9, .5), weight_decay=.1)
        def forward(self, x): return self.layer(x)
    plain = Net()
    fast = Net()
    fast.load_state_dict(plain.state_dict())
    for m in (plain, fast): amsgrad(m)
    fast = speed_up(fast, precision="bfloat16")
    assert isinstance(fast.layer, Wide) and isinstance(fast.opt, Adam)
    for i, x in enumerate(torch.randn(6, 16, 1024)):
        fast.opt.zero_grad()
        (fast(x)*torch.randn(16, 1024, generator=torch.Generator().manual_seed(i))/10**i).sum().backward()
        for p, q in zip(plain.parameters(), fast.parameters()): p.grad = q.grad.float()
        fast.opt.step()
        plain.opt.step()
    states = [m.opt.state[m.layer.weight] for m in (plain, fast)]
    torch.testing.assert_close(states[1], states[0])
    torch.testing.assert_close(fast.layer.weight, plain.layer.weight)
    assert (states[0]["max_exp_avg_sq"] > states[0]["exp_avg_sq"]).all()


def test_epochs_under_a_limit_of_images():
    strong = PROTOCOLS["strong"]
    assert [strong.schedule(n).epochs for n in (425, 8500, 42_500, 10**6)] == [90, 45, 9, 9]
    assert replace(strong, least=None).schedule(10**6).epochs == 30
    assert replace(strong, least=500).schedule(10**6).epochs == 90 # never more than without a limit
    assert [replace(strong, ratio=r).added(425) for r in (50, .25, .001)] == [21_250, 106, 1]
