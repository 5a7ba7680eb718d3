"The arms that learn a transformation: what all of them promise, each checked alike."
import numpy as np
import pytest
import torch
from ndaug import core
from ndaug.arms import GROUPS, Unsuited, drawn, get
from ndaug.core import Checkpoint, Streams
from ndaug.data import ImageSet, load, soft_labels, split, subset
from ndaug.params import read_params
from ndaug.schedules import PROTOCOLS, Budget
from ndaug.study import open_cell, run_cell
from ndaug.training import Trial

LEARNED = GROUPS["learned"]
ASKED = dict(protocol="smoke", device="cpu", precision="float32", features="domain")
FEW = Trial(budget=Budget(epochs=4, most=4))


def images(n, shape, k):
    "Noise of k classes, each with a brightness of its own; the first classes have one image more."
    y = torch.arange(n) % k
    x = torch.randint(128, (n, *shape), generator=torch.Generator().manual_seed(0)) + (y*127//k).view(-1, 1, 1, 1)
    return ImageSet(x.byte(), y, tuple(map(str, range(k))), "noise")


@pytest.fixture(scope="module")
def digits(): return subset(split(*load("digits")).train, 10)


@pytest.mark.parametrize("name", LEARNED)
def test_the_same_seed_gives_the_same_images(name, digits):
    a, b = (get(name).fit(digits, FEW) for _ in range(2))
    first, again, later = (drawn(arm, 60, seed=3, epoch=e) for arm, e in ((a, 1), (b, 1), (a, 2)))
    assert torch.equal(first.x, again.x) and not torch.equal(first.x, later.x)
    assert torch.equal(first.y, torch.roll(digits.y, -60)[:60])  # labels are the originals'
    other = get(name).fit(digits, Trial(seed=1, budget=FEW.budget))
    assert not torch.equal(drawn(other, 60, seed=3, epoch=1).x, first.x)


@pytest.mark.parametrize("name", LEARNED)
def test_images_are_new_and_each_has_a_draw_of_its_own(name, digits):
    fitted = get(name).fit(digits, FEW)
    x = drawn(fitted, len(digits)).x
    assert not (x.flatten(1)[:, None] == digits.x.flatten(1)).all(2).any()
    one = digits[torch.zeros(40, dtype=torch.int64)]
    assert len(drawn(fitted.learned(train=one), 40).x.unique(dim=0)) > 30


@pytest.mark.parametrize("shape, k, n", [((1, 28, 28), 2, 9), ((3, 16, 16), 3, 10), ((3, 64, 48), 2, 6),
                                         ((1, 17, 33), 3, 8), ((1, 16, 16), 200, 401)])
@pytest.mark.parametrize("name", LEARNED)
def test_any_size_colour_and_number_of_classes(name, shape, k, n):
    ds = images(n, shape, k)
    made = drawn(get(name).suited(ds).fit(ds, Trial(budget=Budget(most=1, epochs=1))), n + 3)
    assert made.x.shape == (n + 3, *shape) and made.x.dtype == torch.uint8
    assert torch.equal(made.y, torch.cat([ds.y, ds.y[:3]]))


@pytest.mark.parametrize("name, makes", [("DIFFEO", False), ("POLICY", False), ("CHIMERA", True), ("CDCVAE", True),
                                         ("CDCGAN", True), ("ROT~CDCGAN", True), ("CHIMERA+ROT", True)])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_more_than_64_pixels_are_learned_from_or_refused(name, makes, channels):
    ds = images(8, (channels, 128, 128), 2)
    if makes:
        with pytest.raises(Unsuited, match="noise have 128x128 pixels, and C.* learns to make at most 64x64"):
            get(name).suited(ds)
        return
    fitted = get(name).suited(ds).fit(ds, Trial(budget=Budget(most=1, epochs=1)))
    made, again = (drawn(fitted, 10, seed=1).x for _ in range(2))
    assert made.shape == (10, channels, 128, 128) and torch.equal(made, again)
    assert not (made[:8] == ds.x).flatten(1).all(1).any()


@pytest.mark.parametrize("name", LEARNED)
def test_classes_of_one_and_two_images_work(name):
    ds = images(24, (1, 16, 16), 2)
    ds = ds[torch.cat([(ds.y == 0).nonzero()[:, 0], (ds.y == 1).nonzero()[:, 0]])[:14]]  # 12 and 2
    for few in (ds, ds[:13]):
        assert torch.equal(drawn(get(name).fit(few, FEW), 26).y[:len(few)], few.y)


@pytest.mark.parametrize("name", LEARNED)
def test_soft_labels_pass_and_the_largest_counts(name, digits):
    fitted, x = get(name).fit(digits, FEW), digits.x[:20]/255
    soft = .9*soft_labels(digits.y[:20], 10) + .01
    made, y = fitted.apply(x, soft, Streams(5))
    assert torch.equal(y, soft) and torch.equal(made, fitted.apply(x, digits.y[:20], Streams(5))[0])
    assert made.min() >= 0 and made.max() <= 1 and made.shape == x.shape


class Killed(Exception): pass


@pytest.mark.parametrize("name", LEARNED)
def test_learning_that_was_killed_goes_on_to_the_bit(name, digits, tmp_path, monkeypatch):
    class Kept(Trial):
        def once(self, arm, train, learn): return learn(Checkpoint(tmp_path/f"{name}.safetensors", {}, every=0))
    some = Budget(epochs=4, most=120)
    run, saves, save = Kept(budget=some), [], Checkpoint.save

    def dies(self, *args, **kwargs):
        save(self, *args, **kwargs)
        saves.append(1)
        if len(saves) == 1: raise Killed("after one saving")
    monkeypatch.setattr(core.Checkpoint, "save", dies)
    with pytest.raises(Killed): get(name).fit(digits, run)
    monkeypatch.setattr(core.Checkpoint, "save", save)
    resumed, whole = get(name).fit(digits, run), get(name).fit(digits, Trial(budget=some))
    assert torch.equal(drawn(resumed, 50).x, drawn(whole, 50).x)


def test_records_of_learned_arms_and_compositions(tmp_path, cache, capsys):
    names = ["DIFFEO", "MIXUP+DIFFEO", "CHIMERA+ELASTIC~POLICY"]
    asked = ASKED | dict(arms=",".join(names), draws="fresh", out=tmp_path)
    records = run_cell(open_cell(read_params(**asked)))
    assert [r["arm"] for r in records] == names and not any(r["failed"] for r in records)
    assert {r["kind"] for r in records} == {"learned"} and all(r["config"]["fit"]["updates"] for r in records)
    assert all(np.isfinite(v).all() for r in records for v in r["losses"].values())
    assert all(r["losses"] and r["fid"]["domain"] > 0 for r in records)
    fits = {r["arm"]: [f["name"] for f in r["fits"]] for r in records}
    assert fits["MIXUP+DIFFEO"] == fits["DIFFEO"]  # what was learned is found again
    assert [f.split("-")[1] for f in fits["CHIMERA+ELASTIC~POLICY"]] == ["CHIMERA", "POLICY"]
    capsys.readouterr()
    assert run_cell(open_cell(read_params(**asked))) == records
    assert capsys.readouterr().out.count("was done") == len(names)


def test_small_sets_get_as_many_updates(tmp_path):
    budget = PROTOCOLS["quick"].budget
    for name in LEARNED:
        arm = get(name).under("quick")
        assert 0 < arm.updates(26, budget) >= .9*min(450, arm.updates(425, budget)), name


def test_the_policy_finds_that_digits_must_not_be_mirrored(digits):
    fitted = get("POLICY").fit(digits, Trial(budget=PROTOCOLS["quick"].budget))
    assert fitted.net.sampler.mirror < .1  # it began at .25


def test_a_subset_without_two_of_a_class_is_refused_before_any_training(tmp_path):
    few = images(24, (1, 16, 16), 4)
    np.savez(tmp_path/"few.npz", x=few.x[:, 0].numpy(), y=few.y.numpy())
    asked = ASKED | dict(dataset=tmp_path/"few.npz", out=tmp_path/"out", frac=25)
    for arms in ("ORIG,DIFFEO", "POLICY+AFFINE", "DIFFEO~ROT"):
        with pytest.raises(ValueError, match="1 image per class, and (DIFFEO|POLICY) learns from 2 of a class"):
            open_cell(read_params(**asked | dict(arms=arms)))
    assert len(open_cell(read_params(**asked | dict(arms="ORIG,CHIMERA"))).train) == 4
    assert not list((tmp_path/"out").rglob("*.json"))
