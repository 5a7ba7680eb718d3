"""Draws are made where the images are. On torch's meta device, which has no pixels but refuses whatever mixes two
devices, as a GPU does; `test_gpu.py` has the rest."""
import pytest
import torch
from ndaug.arms import ARMS, get
from ndaug.chimera import Mixer
from ndaug.core import Streams
from ndaug.data import ImageSet
from ndaug.schedules import Budget
from ndaug.study import is_own
from ndaug.training import Trial
from ndaug.use import Transform, learn


@pytest.fixture
def colours():
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (40, 3, 32, 32), generator=g, dtype=torch.uint8)
    return ImageSet(x, torch.arange(40) % 4, tuple("abcd"), "colours", mirror=True)


def parts(arm):
    yield arm
    for part in getattr(arm, "fitted", ()): yield from parts(part)


@pytest.mark.parametrize("name", (*ARMS, "ROT+MIXUP", "ROT~CDCVAE", "CDCGAN+CUTMIX", "CHIMERA+ROT~DIFFEO"))
def test_an_arm_draws_where_its_images_are(name, colours, monkeypatch):
    fitted = get(name).fit(colours, Trial(budget=Budget(most=2)))
    for part in parts(fitted):
        if part.name == "CHIMERA": part.net.G = Mixer(3, 32).to("meta")  # on a GPU it is there already
    monkeypatch.setattr("ndaug.arms.as_bytes", lambda x, *_: x.mul(255).byte())  # without a look at the pixels
    made = fitted.placed("meta").draw(30, Streams(0))
    assert (made.x.device.type, made.y.device.type) == ("meta", "cpu")
    assert colours.x.device.type == fitted.train.x.device.type == "cpu"


@pytest.mark.parametrize("name", ("ROTBLUR", "ELASTIC", "TRIVIAL", "MIXUP", "CUTMIX"))
def test_a_transform_takes_batches_that_are_there(name, colours):
    there = colours.to("meta")
    x, y = Transform(learn(name, colours, device="cpu", precision="float32"))(there.x, there.y)
    assert x.device.type == y.device.type == "meta"


OWN = {"{}": True, "ROT+{}": True, "ROT~DIFFEO+{}": True, "ROT~DIFFEO+BLUR": False}


@pytest.mark.parametrize("spec, own", OWN.items())
def test_an_arm_of_ones_own_is_left_on_the_cpu(spec, own, colours, tmp_path):
    (tmp_path/"mine.py").write_text("import torch\ndef TINT(x, y, s): return x*torch.rand(len(x), 1, 1, 1), y\n")
    arm = get(spec.format(f"{tmp_path}/mine.py:TINT"))
    assert is_own(arm) == is_own(arm.fit(colours, Trial(budget=Budget(most=2)))) == own
