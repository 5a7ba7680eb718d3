"Whatever the images, classes and sizes: what data and transforms promise holds."
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ndaug.data import FRACS, ImageSet, check_frac, image_grid, split, stratified_order, subset
from ndaug.files import CHOSEN, FITS, SIZES, load_npz
from ndaug.transforms import augment, blur, rotate

few = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**31)
class_counts = st.lists(st.integers(1, 60), min_size=2, max_size=12)
few_per_class = st.lists(st.integers(1, 5), min_size=2, max_size=4)
channel_counts = st.sampled_from((1, 3))
sides = st.integers(8, 40)
transforms = st.sampled_from(("ROT", "BLUR", "ROTBLUR"))


def images(counts, channels=1, size=16, seed=0):
    "Each image has its own number in its first bytes, so that it can be told from the others."
    rng = np.random.default_rng(seed)
    y = torch.from_numpy(rng.permutation(np.repeat(np.arange(len(counts)), counts)))
    x = torch.from_numpy(rng.integers(0, 256, (len(y), channels, size, size), dtype=np.uint8))
    x[:, 0, 0, 0], x[:, 0, 0, 1] = torch.arange(len(y)) % 256, torch.arange(len(y)) // 256
    return ImageSet(x, y, tuple(map(str, range(len(counts)))), "fuzz")


def numbers(ds):
    return set((ds.x[:, 0, 0, 0].int() + 256*ds.x[:, 0, 0, 1].int()).tolist())


@few
@given(class_counts, seeds)
def test_every_prefix_of_the_order_has_each_class_to_within_one_image(counts, seed):
    y = images(counts).y
    order = stratified_order(y, torch.Generator().manual_seed(seed))
    assert sorted(order.tolist()) == list(range(len(y)))
    held = torch.nn.functional.one_hot(y[order], len(counts)).cumsum(0)
    share = torch.arange(1, len(y) + 1)[:, None]*torch.tensor(counts)/len(y)
    assert (held - share).abs().max() < 1


@few
@given(class_counts, st.booleans(), seeds)
def test_splits_are_whole_and_apart_and_subsets_nested_and_stratified(counts, own_test, seed):
    pool = images(counts)
    try:
        s = split(pool, images(counts, seed=1) if own_test else None, seed)
    except ValueError as e:  # too few of a class, and the sentence names it
        assert "class '" in str(e) and min(counts) < 4 - own_test
        return
    assert min(counts) >= 4 - own_test
    assert all(part.counts.min() >= 1 for part in (s.train, s.val, s.test)) and s.train.counts.min() >= 2
    parts = [numbers(s.train), numbers(s.val)] + [numbers(s.test)]*(not own_test)
    assert set.union(*parts) == numbers(pool) and sum(map(len, parts)) == len(pool)
    smaller = None
    rare = s.train.counts.min()*len(counts) < len(s.train)  # one image of each class may come first, displacing others
    for frac in FRACS:
        try:
            sub = subset(s.train, frac)
        except ValueError as e:
            assert "the smallest frac for fuzz is" in str(e) and smaller is None  # a larger one has all classes too
            assert round(len(s.train)*frac/100) < len(counts)
            continue
        assert rare or (sub.counts - len(sub)*s.train.counts/len(s.train)).abs().max() < 1
        assert abs(len(sub) - len(s.train)*frac/100) <= 1 and not numbers(sub) & parts[1]
        assert smaller is None or torch.equal(sub.x[:len(smaller)], smaller.x)
        smaller = sub
    assert len(smaller) == len(s.train)


@few
@given(few_per_class, channel_counts, st.sampled_from(SIZES), transforms, seeds)
def test_transforms_keep_shape_type_labels_and_range(counts, channels, size, arm, seed):
    ds = images(counts, channels, size, seed % 1000)
    before = ds.x.clone()
    out = augment(ds, arm, seed)
    assert (out.x.shape, out.x.dtype, out.classes, out.name) == (ds.x.shape, torch.uint8, ds.classes, ds.name)
    assert torch.equal(out.y, ds.y) and torch.equal(ds.x, before) and torch.equal(augment(ds, arm, seed).x, out.x)
    grid = image_grid(out)
    assert grid.dtype == np.uint8 and grid.ndim == (2 if channels == 1 else 3)


@few
@given(st.integers(1, 3), channel_counts, sides, sides, st.floats(-180, 180), st.floats(.05, 5), seeds)
def test_rotation_and_blur_stay_in_range(n, c, h, w, angle, sigma, seed):
    x = torch.rand(n, c, h, w, generator=torch.Generator().manual_seed(seed))
    for out in (rotate(x, torch.full((n,), angle)), blur(x, torch.full((n,), sigma))):
        assert out.shape == x.shape and out.dtype == x.dtype
        assert -1e-6 <= out.min() and out.max() <= 1 + 1e-5
    white = torch.ones_like(x)
    assert torch.allclose(blur(white, torch.full((n,), sigma)), white, atol=1e-5)  # no light is lost at the edges


@few
@given(st.one_of(st.integers(-10, 200), st.floats(), st.text(max_size=5), st.none()))
def test_a_frac_is_taken_or_refused_in_one_sentence(frac):
    try:
        assert check_frac(frac) in range(1, 101) and check_frac(frac) == float(frac)
    except ValueError as e:
        assert f"frac={frac!r} is not valid" in str(e)


shapes = st.sampled_from([
    (6,), (6, 16), (6, 16, 16), (6, 16, 20), (6, 16, 16, 3), (6, 16, 16, 4), (6, 7, 7), (0, 16, 16),
])
types = st.sampled_from(["uint8", "int64", "float32", "bool", "U3"])
labels = st.lists(st.integers(-1, 3), max_size=8)
label_types = st.sampled_from(["int64", "uint8", "float32"])


@few
@given(shapes, types, labels, label_types)
def test_an_npz_is_read_or_refused_in_one_sentence(tmp_path_factory, shape, dtype, y, y_type):
    path = tmp_path_factory.mktemp("npz")/"a.npz"
    np.savez(path, x=np.zeros(shape, dtype), y=np.array(y, dtype="int64").astype(y_type))
    try:
        pool, test = load_npz(path)
    except ValueError as e:
        assert str(path) in str(e) and "\n" not in str(e)
        return
    assert test is None and pool.x.dtype == torch.uint8 and pool.x.ndim == 4
    assert len(pool) == 6 and pool.counts.min() > 0


@few
@given(st.integers(1, 90), st.integers(1, 90), channel_counts, st.sampled_from((None, *SIZES)), st.sampled_from(FITS),
       seeds)
def test_images_of_any_size_become_squares_and_keep_their_brightness(tmp_path_factory, h, w, c, size, fit, seed):
    path = tmp_path_factory.mktemp("npz")/"a.npz"
    level = np.random.default_rng(seed).integers(128, 256)
    np.savez(path, x=np.full((4, h, w, c), level, np.uint8), y=np.arange(4) % 2)
    x = load_npz(path, size, fit)[0].x
    side = size or (h if h == w and h in SIZES else max([s for s in CHOSEN if s <= min(h, w)], default=28))
    assert x.shape == (4, c, side, side)
    inside = x == level
    assert (inside | (x == 0)).all() and inside.any() and (fit == "letterbox" or inside.all())
    if fit == "letterbox":  # a rectangle of the images' shape
        rows, columns = (int(inside[0, 0].any(d).sum()) for d in (1, 0))
        assert int(inside[0, 0].sum()) == rows*columns and max(rows, columns) == side
        assert abs(min(rows, columns) - side*min(h, w)/max(h, w)) <= 1
