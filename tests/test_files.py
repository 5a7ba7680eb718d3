"What people's files are like: read, or refused in one sentence, and nothing is left out or scaled without a word."
import numpy as np
import pytest
from ndaug import data
from ndaug.data import duplicates, load, split
from ndaug.files import LARGE, SIZES
from ndaug.params import read_params
from ndaug.study import open_cell, run_cell
from PIL import Image


def save(path, a, *args, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(a).save(path, *args, **kwargs)


def noise(seed, top=255, dtype=np.uint8, size=32):
    return np.random.default_rng(seed).integers(0, top + 1, (size, size)).astype(dtype)


def classes(folder, make, names="ab", n=6, start=0):
    "make(number of an image) for each image of each class."
    for j, k in enumerate(names):
        for i in range(n):
            save(folder/k/f"{i}.png", make(start + 100*j + i))


def refused(path, *words):
    with pytest.raises(ValueError) as e:
        load(str(path))
    text = str(e.value)
    assert "\n" not in text and "remove" not in text and all(w in text for w in words), text


deep, eight = (lambda top: lambda i: noise(i, top, np.uint16)), noise


@pytest.mark.parametrize("other", [deep(4095), deep(65535), lambda i: noise(i, 15), lambda i: noise(i, 1)])
def test_a_class_of_another_depth_or_range_is_refused_naming_both_files(tmp_path, other):
    classes(tmp_path, eight, "a")
    classes(tmp_path, other, "b")
    refused(tmp_path, "/a/", "/b/", "8 bits, dark to bright as 0 to 255")


@pytest.mark.parametrize("a, b", [(1023, 4095), (4095, 65535), (16383, 65535)])
def test_16_bits_of_which_classes_use_other_numbers(tmp_path, a, b):
    classes(tmp_path, deep(a), "a")
    classes(tmp_path, deep(b), "b")
    refused(tmp_path, "/a/", "/b/", "has values up to", "brightness alone would tell them apart")


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_16_bits_that_are_the_same_throughout_are_scaled_and_it_is_said(tmp_path, capsys, bits):
    classes(tmp_path, deep(2**bits - 1))
    pool, _ = load(str(tmp_path))
    assert pool.x.max() == 255 and f"of which {bits} are in use" in capsys.readouterr().out


@pytest.mark.parametrize("every", [False, True])
def test_a_hot_pixel_does_not_hide_the_range(tmp_path, every):
    def hot(i):
        a = noise(i, 4095, np.uint16)
        if every or not i:
            a[0, 0] = 65535
        return a
    classes(tmp_path, hot)
    refused(tmp_path, "65535")


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_values_outside_of_16_bits_are_refused(tmp_path, dtype):
    for k in "ab":
        for i in range(3):
            a = noise(i, 4095, dtype)
            a[0, 0] = 100_000
            (tmp_path/k).mkdir(exist_ok=True)
            Image.fromarray(a).save(tmp_path/k/f"{i}.tif")
    refused(tmp_path, ".tif", "8 bits")


@pytest.mark.parametrize("test", [deep(4095), lambda i: noise(i, 1), lambda i: noise(i, 50)])
def test_a_test_set_of_another_range_is_refused(tmp_path, test):
    classes(tmp_path/"train", eight)
    classes(tmp_path/"test", test, start=1000)
    refused(tmp_path, "test")


@pytest.mark.parametrize("train, test", [
    ("training", "testing"), ("Training", "Testing"), ("TRAIN", "TEST"), ("training_set", "test_set"),
    ("train-images", "test-images"),
])
def test_usual_names_of_train_and_test(tmp_path, train, test):
    classes(tmp_path/train, eight)
    classes(tmp_path/test, eight, start=1000, n=2)
    pool, own = load(str(tmp_path))
    assert (len(pool), len(own), pool.skipped) == (12, 4, 0)


@pytest.mark.parametrize("name", ["train", "test", "val", "training"])
def test_a_class_may_be_called_like_a_part(tmp_path, name):
    classes(tmp_path, eight, ["bus", "car", name])
    assert load(str(tmp_path))[0].classes == tuple(sorted(["bus", "car", name]))


@pytest.mark.parametrize("val", ["val", "Val", "dev", "validation", "valid"])
def test_validation_images_join_the_pool_and_it_is_said(tmp_path, capsys, val):
    for i, part in enumerate(("train", "test", val)):
        classes(tmp_path/part, eight, start=1000*i)
    pool, test = load(str(tmp_path))
    assert (len(pool), len(test)) == (24, 12) and f"{val} has 12 images" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["train", "test"])
def test_a_part_alone_is_refused(tmp_path, missing):
    classes(tmp_path/("test" if missing == "train" else "train"), eight)
    classes(tmp_path/"val", eight, start=1000)
    refused(tmp_path, "give train and test")


def test_what_is_left_out_is_said_and_counted(tmp_path, capsys):
    classes(tmp_path/"train", eight)
    classes(tmp_path/"test", eight, start=1000)
    classes(tmp_path/"unlabelled", eight, start=2000, n=2)
    for f in ("train/a/1.heic", "train/b/2.txt", "train/b/LICENSE"):
        (tmp_path/f).touch()
    pool, _ = load(str(tmp_path))
    assert sorted(pool.left_out.values()) == [3, 4] and pool.skipped == 7
    out = capsys.readouterr().out
    assert "1 .heic, 1 .txt" in out and "unlabelled/a/0.png" in out


def test_sub_folders_and_other_endings_are_read(tmp_path, capsys):
    classes(tmp_path, eight)
    for i, (ext, form) in enumerate([(".jfif", "JPEG"), (".gif", "GIF"), (".PGM", "PPM"), ("", "PNG")]):
        save(tmp_path/"a"/"day2"/"camera1"/f"x{i}{ext}", noise(500 + i), form)
    pool, _ = load(str(tmp_path))
    assert pool.counts.tolist() == [10, 6] and pool.skipped == 0
    assert "day2" in capsys.readouterr().out


def test_results_inside_a_data_set_are_no_class(tmp_path):
    classes(tmp_path, eight)
    cell = tmp_path/"runs"/"pets"/"10"/"0"
    save(cell/"ROT.png", noise(0))
    (cell/"ROT.json").write_text('{"arm": "ROT", "test_accuracy": 90.0}')
    refused(tmp_path, "holds results of ndaug", "outside of the data set")


def test_files_that_are_damaged_in_any_way_are_named_or_left_out(tmp_path):
    "Each byte of a small file in turn, so that decoders raise whatever they raise."
    classes(tmp_path/"set", eight)
    Image.fromarray(noise(7)).save(tmp_path/"whole.tif")
    whole, f = (tmp_path/"whole.tif").read_bytes(), tmp_path/"set"/"a"/"hurt.tif"
    for at in [*range(8), *range(len(whole) - 140, len(whole), 3)]:
        f.write_bytes(whole[:at] + bytes([whole[at] ^ 0xff]) + whole[at + 1:])
        try:
            load(str(tmp_path/"set"))
        except ValueError as e:
            assert "hurt.tif" in str(e) and "\n" not in str(e)
            if "cannot be read" in str(e):
                assert load(str(tmp_path/"set"), skip=True)[0].skipped == 1


def png16(path, top):
    "A PNG with 16 bits a colour, which Pillow does not write."
    import struct
    import zlib
    rows = np.random.default_rng(list(str(path).encode())).integers(0, top + 1, (32, 32*3)).astype(">u2")
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 16, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + r.tobytes() for r in rows)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b""))


@pytest.mark.parametrize("top, taken", [(65535, True), (16383, False), (4095, False)])
def test_16_bits_of_colour_are_taken_where_all_are_in_use(tmp_path, top, taken):
    for i in range(8):
        png16(tmp_path/"ab"[i % 2]/f"{i}.png", top)
    if taken:
        assert load(str(tmp_path))[0].x.max() == 255
    else:
        refused(tmp_path, "16 bits")
    save(tmp_path/"a"/"8bit.png", noise(0))
    refused(tmp_path, "16 bits of colour")


def test_a_broken_link_is_named(tmp_path):
    classes(tmp_path, eight)
    (tmp_path/"a"/"gone.png").symlink_to(tmp_path/"nowhere.png")
    refused(tmp_path, "gone.png")
    assert load(str(tmp_path), skip=True)[0].skipped == 1


def test_copies_are_counted_and_stay_on_one_side(tmp_path, capsys):
    classes(tmp_path, lambda i: noise(i//2), n=20)
    pool, _ = load(str(tmp_path))
    assert duplicates(pool, None) == dict(pool=20, test=0, test_in_pool=0, labels=0)
    assert "20 images repeat another one" in capsys.readouterr().out
    for seed in range(8):
        s = split(pool, None, seed)
        parts = [{bytes(x.numpy()) for x in p.x} for p in (s.train, s.val, s.test)]
        assert len(set.union(*parts)) == sum(map(len, parts)) == 20


def test_training_images_in_an_own_test_set_are_said_loudly(tmp_path, capsys):
    classes(tmp_path/"train", eight)
    classes(tmp_path/"test", eight, n=4)
    pool, test = load(str(tmp_path))
    assert duplicates(pool, test)["test_in_pool"] == 8
    assert "WARNING: 8 test images are training images too" in capsys.readouterr().out


@pytest.mark.parametrize("counts", [(4, 4), (4, 60), (5, 7, 200), (4,)*30])
@pytest.mark.parametrize("own", [False, True])
def test_whether_a_class_is_too_small_is_decided_by_counts_alone(counts, own):
    pool = images(counts)
    for seed in range(6):
        s = split(pool, pool if own else None, seed)
        assert min(s.train.counts.min()/2, s.val.counts.min(), s.test.counts.min()) >= 1
        assert [data.subset(s.train, f).counts.min() >= 1 for f in (50, 100)] == [True]*2
    few = images((3 - own, *counts))
    for seed in range(6):
        with pytest.raises(ValueError, match=f"needs at least {4 - own} of each class: add 1"):
            split(few, few if own else None, seed)


def images(counts):
    import torch
    y = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    x = torch.randint(0, 256, (len(y), 1, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return data.ImageSet(x, y, tuple(map(str, range(len(counts)))), "made")


def test_a_folder_of_the_name_of_a_built_in_set_is_mentioned(tmp_path, monkeypatch, capsys):
    classes(tmp_path/"digits", eight)
    monkeypatch.chdir(tmp_path)
    assert len(load("digits")[0]) == 1797 and "./digits" in capsys.readouterr().out
    pool, _ = load("./digits")
    assert (len(pool), pool.name) == (12, "digits-folder")


def halves(width, height):
    "Red on the left, blue on the right."
    a = np.zeros((height, width, 3), np.uint8)
    a[:, :width//2, 0] = a[:, width//2:, 2] = 230
    return a


def photos(folder):
    "Seven pictures of one class and four of another: landscape, portrait and small, PNG and JPEG; numbered by name."
    for i in range(11):
        ext, shape = ("png", "jpg")[i % 2], ((200, 100), (90, 160), (40, 40))[i % 3]
        save(folder/("a" if i < 7 else "b")/f"{i:02}.{ext}", halves(*shape))
    return [i % 3 for i in range(11)]  # landscape, portrait, small


@pytest.mark.parametrize("size", [28, 64, 224])
def test_mixed_pictures_are_cropped_or_letterboxed(tmp_path, capsys, size):
    shapes = photos(tmp_path)
    crop, _ = load(str(tmp_path), size=size)
    said = capsys.readouterr().out
    assert "images of 200x100 and 2 other sizes are cropped to their centre square and" in said
    assert "44 % of an image's pixels (median) are cut off: fit='letterbox' keeps them" in said
    enlarged = {28: 0, 64: 3, 224: 11}[size]
    assert ("enlarged" in said) == bool(enlarged) and (not enlarged or f"blurred: {enlarged} of 11" in said)
    box, _ = load(str(tmp_path), size=size, fit="letterbox")
    said = capsys.readouterr().out
    assert "are made square with black beside them and" in said and "cut off" not in said
    assert not enlarged or f"blurred: {enlarged} of 11" in said
    assert crop.counts.tolist() == box.counts.tolist() == [7, 4] and crop.shape == box.shape == (3, size, size)
    half, edge = size//2, size//8
    for x in crop.x:
        assert x[0, :, :half - edge].min() > 200 and x[2, :, :half - edge].max() < 30
        assert x[2, :, half + edge:].min() > 200 and x[0, :, half + edge:].max() < 30
    for x, shape in zip(box.x, shapes):
        wide, high = ((size, size//2), (round(size*90/160), size), (size, size))[shape]
        left, top = (size - wide)//2, (size - high)//2
        inside = x[:, top:top + high, left:left + wide]
        assert int(x.sum()) == int(inside.sum()) and inside.amax(0).min() > 60  # black all around, nothing black in it
        red, blue = inside[0, :, :wide//2 - edge], inside[2, :, wide//2 + edge:]
        assert min(red.min(), blue.min()) > 200 and inside[2, :, :wide//2 - edge].max() < 30


@pytest.mark.parametrize("shapes, size", [
    ([(16, 16)], 16), ([(60, 60)], 60), ([(70, 70)], 64), ([(320, 240)], 64), ([(50, 300)], 48), ([(30, 30)], 28),
    ([(9, 12)], 28), ([(32, 32), (48, 33)], 32), ([(10, 10), (100, 100), (100, 100)], 64),
])
def test_the_size_is_chosen_from_the_images(tmp_path, capsys, shapes, size):
    for i in range(12):
        w, h = shapes[i % len(shapes)]
        save(tmp_path/"ab"[i % 2]/f"{i:02}.png", noise(i, size=320)[:h, :w])
    pool, _ = load(str(tmp_path))
    said = capsys.readouterr().out
    assert pool.shape == (1, size, size)
    assert ("size changes it" in said) == (shapes != [(size, size)])
    assert ("32 takes about a quarter of the time" in said) == (size == 64)
    small = sum(min(s) < size for s in shapes)*12//len(shapes)
    assert ("enlarged" in said) == bool(small) and (not small or f"blurred: {small} of 12" in said)


def test_200_classes_of_mixed_sizes_and_uneven_counts(tmp_path):
    for k in range(200):
        for i in range(4 + k % 3):
            save(tmp_path/f"{k:03}"/f"{i}.png", noise(1000*k + i)[:20 + k % 12, :31 - i])
    pool, _ = load(str(tmp_path), fit="letterbox")
    assert pool.shape == (1, 28, 28) and pool.counts.tolist() == [4 + k % 3 for k in range(200)]
    s = split(pool, None, 0)
    assert len(s.train) + len(s.val) + len(s.test) == len(pool)


@pytest.mark.parametrize("fit", ["crop", "letterbox"])
def test_fine_patterns_become_grey_and_no_pattern_of_their_own(tmp_path, fit):
    board = (np.indices((251, 301)).sum(0) % 2*255).astype(np.uint8)
    for k in "ab":
        for i in range(4):
            save(tmp_path/k/f"{i}.png", np.roll(board, i + (k == "b"), 1))
    np.savez(tmp_path/"board.npz", x=np.stack([board]*4), y=np.arange(4) % 2)
    for path in (tmp_path, tmp_path/"board.npz"):
        x = load(str(path), fit=fit, size=28)[0].x
        x = x[:, :, 4:-4]  # the bars are black
        assert x.min() > 110 and x.max() < 146


@pytest.mark.parametrize("shape", [(5, 5), (40, 60), (40, 60, 3), (100, 100)])
def test_an_npz_of_any_size_is_resized_as_a_folder_is(tmp_path, capsys, shape):
    x = np.random.default_rng(0).integers(0, 256, (12, *shape), np.uint8)
    np.savez(tmp_path/"a.npz", x=x, y=np.arange(12) % 2)
    for i, a in enumerate(x): save(tmp_path/"a"/str(i % 2)/f"{i:02}.png", a)
    order = [*range(0, 12, 2), *range(1, 12, 2)]
    for given in ({}, dict(fit="letterbox"), dict(size=32), dict(size=96, fit="letterbox")):
        capsys.readouterr()
        npz, folder = load(str(tmp_path/"a.npz"), **given)[0], load(str(tmp_path/"a"), **given)[0]
        a, b = capsys.readouterr().out.splitlines()
        assert (npz.x[order] == folder.x).all() and a.replace(".npz", "") == b and "resized to" in a
        assert ("blurred: 12 of 12" in a) == (max(shape[:2]) < 28 or given.get("size") == 96 and shape[0] < 96)


@pytest.mark.parametrize("bad", [100, 31, 17, 12, 68, True, "big", 64.5])
def test_sizes_that_are_none_are_refused_by_whatever_reads_images(tmp_path, bad):
    classes(tmp_path/"set", eight)
    np.savez(tmp_path/"a.npz", x=np.zeros((4, 16, 16), np.uint8), y=np.arange(4) % 2)
    for path in ("set", "a.npz"):
        with pytest.raises(ValueError) as e: load(str(tmp_path/path), size=bad)
        assert str(e.value).startswith(f"size={bad!r} is not valid: give one of 28, 32, 48, 64")
        with pytest.raises(ValueError, match="fit='stretch' is unknown: use 'crop', 'letterbox'."):
            load(str(tmp_path/path), fit="stretch")
    assert [load(str(tmp_path/"set"), size=s)[0].shape[1] for s in (*SIZES, *LARGE)] == [*SIZES, *LARGE]


def test_records_of_another_size_or_fit_are_not_mixed_in(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("NDAUG_INCEPTION", str(tmp_path/"none"))  # no distances
    classes(tmp_path/"pets", lambda i: noise(i, size=100)[:70 + i % 3])
    asked = dict(dataset=str(tmp_path/"pets"), frac=100, arms="ORIG", protocol="smoke", device="cpu",
                 precision="float32", features="inception", out=tmp_path/"runs")
    rec, = run_cell(open_cell(read_params(**asked, size=28)))
    for other in (dict(), dict(size=32), dict(size=28, fit="letterbox"), dict(size=32, seed=3)):
        with pytest.raises(ValueError) as e: open_cell(read_params(**asked | other))
        assert "two data sets are called 'pets'" in str(e.value) and "\n" not in str(e.value)
        assert "give another out, the size and fit that its records had, or" in str(e.value)
    assert run_cell(open_cell(read_params(**asked, size="28", fit="crop"))) == [rec]
    assert "size" not in rec["config"] and "size" not in rec["data"]  # an older record of these images is this one
