"Bad input: one sentence that names the value, the place and the mend, before any training. README.md lists them."
import signal
import subprocess
import sys
from unittest.mock import patch

import numpy as np
import pytest
import torch
from ndaug import data, features, fid, study
from ndaug.params import read_params
from PIL import Image


def says(f, *words):
    with pytest.raises(ValueError) as e:
        f()
    text = str(e.value)
    assert "\n" not in text and all(w in text for w in words), text


@pytest.mark.parametrize("params, words", [
    (dict(frac=0), "frac=0 is not valid"), (dict(frac=101), "frac=101"), (dict(frac="abc"), "frac='abc'"),
    (dict(frac=float("nan")), "frac=nan"), (dict(frac=1.5), "whole percentage"),
    (dict(seed=-1), "seed=-1"), (dict(seed="one"), "seed='one'"), (dict(seed=.5), "seed=0.5"),
    (dict(epochs=0), "epochs=0"), (dict(epochs=1.5), "epochs=1.5"), (dict(epochs="many"), "epochs='many'"),
    (dict(arms="ORIG,ROTT"), "did you mean 'ROT'"), (dict(arms=""), "arms"),
    (dict(protocol="quik"), "did you mean 'quick'"), (dict(dataset="minst"), "did you mean 'mnist'"),
    (dict(device="gpu"), "device='gpu'"), (dict(device="cuda:99"), "cuda:99"),
    (dict(features="vgg"), "features='vgg'"), (dict(skip_unreadable="yes"), "skip_unreadable='yes'"),
    (dict(size=100), "size=100 is not valid: give one of 28, 32, 48, 64"), (dict(size="big"), "size='big'"),
    (dict(size=True), "size=True"), (dict(size=31), "size=31"), (dict(size="-28"), "size='-28'"),
    (dict(size=224), "vgg takes at most 64: give one of 28"), (dict(fit="stretch"), "fit='stretch' is unknown"),
    (dict(fit="letterbx"), "did you mean 'letterbox'"), (dict(fit=""), "fit=''"),
    (dict(dataset="mnist", size=64), "dataset='mnist' has 28x28 pixels: size is for folders and .npz files, leave it"),
    (dict(dataset="cifar10", size=28), "dataset='cifar10' has 32x32 pixels: size is for"),
    (dict(size=32), "dataset='digits' has 28x28 pixels: size is for"),
    (dict(dataset="cifar10", fit="letterbox"), "dataset='cifar10' has 32x32 pixels: fit is for"),
])
def test_parameters(params, words):
    says(lambda: read_params(**params), words)


def test_what_papermill_makes_of_numbers_and_lists(tmp_path):
    p = read_params(frac=1e1, seed=1e3, epochs="1e3", arms='["ROT", "ORIG"]', skip_unreadable="True")
    assert (p.frac, p.seed, p.protocol.classifier.epochs) == (10, 1000, 1000)
    assert (tuple(p.arms), p.skip_unreadable) == (("ORIG", "ROT"), True)
    for given, size in ((64, 64), ("64", 64), (64., 64), (" 64", 64), (None, None), ("", None)):
        assert read_params(dataset=tmp_path, size=given, arms="ORIG").size == size
    assert read_params(dataset="mnist", size=28, arms="ORIG").size == 28  # its own


def test_out_that_cannot_be_written(tmp_path):
    (tmp_path/"file").write_text("")
    says(lambda: study.open_cell(read_params(out=tmp_path/"file")), "out=", "cannot be written to")


def picture(path, mode="RGB", size=(32, 32), **kwargs):
    "A picture of its own for each path, so that none is a copy of another."
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(list(str(path).encode())).integers(0, 256, (*size[::-1], 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(path, **kwargs)


@pytest.fixture
def folder(tmp_path):
    "Two classes of five images."
    for k in "ab":
        for i in range(5):
            picture(tmp_path/"pets"/k/f"{i}.png")
    return tmp_path/"pets"


def test_folders(folder, tmp_path):
    (tmp_path/"empty").mkdir()
    says(lambda: data.load(str(tmp_path/"empty")), "at least two")
    (folder/"c").mkdir()
    says(lambda: data.load(str(folder)), str(folder/"c"), "has no image")
    picture(folder/"c"/"0.png")
    says(lambda: data.split(*data.load(str(folder))), "class 'c' has 1 images", "at least 4", "add 3")
    picture(tmp_path/"one"/"a"/"0.png")
    says(lambda: data.load(str(tmp_path/"one")), "1 class folders")


@pytest.mark.parametrize("name, content", [("zero.png", b""), ("text.jpg", b"no image"), ("cut.jpg", None)])
def test_files_that_are_no_images(folder, name, content):
    f = folder/"a"/name
    if content is None:
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)).save(f)
        content = f.read_bytes()[:-200]
    f.write_bytes(content)
    says(lambda: data.load(str(folder)), str(f), "repair it", "skip_unreadable")
    pool, _ = data.load(str(folder), skip=True)
    assert (len(pool), pool.skipped) == (10, 1)


def test_every_kind_of_picture_becomes_bytes_of_one_size(folder):
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    picture(folder/"a"/"grey.png", "L")
    picture(folder/"a"/"palette.gif.png", "P")
    picture(folder/"a"/"alpha.png", "RGBA")
    picture(folder/"a"/"print.jpg", "CMYK")
    picture(folder/"a"/"turned.jpg", size=(48, 32), exif=exif)
    pool, _ = data.load(str(folder))
    assert pool.x.dtype == torch.uint8 and pool.shape == (3, 32, 32) and len(pool) == 15


@pytest.mark.parametrize("arrays, words", [
    (dict(images=np.zeros((4, 16, 16), np.uint8)), "expected x and y"),
    (dict(x=np.zeros((4, 16, 16)), y=np.arange(4)), "expected uint8"),
    (dict(x=np.zeros((4, 0, 20), np.uint8), y=np.arange(4)), "expected uint8 (n, h, w)"),
    (dict(x=np.zeros((4, 16, 20), np.uint8), y=np.arange(4), x_test=np.zeros((4, 20, 16), np.uint8),
          y_test=np.arange(4)), "do not have the image shape"),
    (dict(x=np.zeros((4, 16, 16), np.uint8), y=np.arange(3)), "expected 4 integers"),
    (dict(x=np.zeros((4, 16, 16), np.uint8), y=np.array([0, 2, 2, 0])), "expected 0..k-1"),
    (dict(x=np.array([None]*4), y=np.arange(4)), "plain arrays"),
])
def test_npz(tmp_path, arrays, words):
    np.savez(tmp_path/"a.npz", **arrays)
    says(lambda: data.load(str(tmp_path/"a.npz")), str(tmp_path/"a.npz"), words)


def test_fid(tmp_path):
    extractor = features.Extractor("none", "0", lambda x: (x.float().flatten(1),)*2, torch.device("cpu"))
    says(lambda: extractor(torch.rand(3, 1, 4, 4)), "uint8 images, 0 to 255")
    says(lambda: fid.feature_stats(torch.rand(1, 3)), "at least 2")
    says(lambda: features.inception_weights(str(tmp_path/"none.pth")), "none.pth", "correct the path")
    (tmp_path/"cut.pth").write_bytes(b"PK")
    says(lambda: features.inception_weights(str(tmp_path/"cut.pth")), "SHA-256", "fetch it again")


@pytest.mark.parametrize("content", [None, b"", b"PK"])
def test_without_the_right_inception_weights_there_is_no_number(tmp_path, monkeypatch, content):
    if content is not None:
        (tmp_path/"weights.pth").write_bytes(content)
    monkeypatch.setenv("NDAUG_INCEPTION", str(tmp_path/"weights.pth"))
    never = AssertionError("a given path is not replaced by a download")
    with patch("torch.hub.download_url_to_file", side_effect=never):
        cell = study.open_cell(read_params(features="inception", arms="ROT", out=tmp_path/"runs"))
        added = study.images(cell.run("ROT"))[1]
        found, detail = features.distances(cell.extractors, cell.real, added, len(cell.train))
    assert found == {"domain": None, "inception": None}
    assert str(tmp_path/"weights.pth") in detail["inception"]["reason"]
    assert "features='inception'" in detail["domain"]["reason"]


@pytest.mark.parametrize("error", [
    OSError("connection refused"),
    RuntimeError('invalid hash value (expected "67", got "00")'),
])
def test_downloads_that_fail(tmp_path, monkeypatch, error):
    monkeypatch.setenv("NDAUG_CACHE", str(tmp_path))
    monkeypatch.setenv("NDAUG_INCEPTION", "")
    with patch("torch.hub.download_url_to_file", side_effect=error):
        says(lambda: features.inception_weights(download=True), str(error), "NDAUG_INCEPTION")
    with patch("torchvision.datasets.mnist.MNIST.download", side_effect=error):
        says(lambda: data.load("mnist", str(tmp_path)), str(error), "data_dir")
    assert not list(tmp_path.rglob("*.p*t*"))


def test_names_from_outside_stay_in_their_folder(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path/"data").mkdir()
    x = rng.integers(0, 255, (40, 16, 16), np.uint8)
    np.savez(tmp_path/"data"/"...npz", x=x, y=np.arange(40) % 2, classes=np.array(["../../a", "/etc/b"]))
    cell = study.open_cell(read_params(dataset=tmp_path/"data"/"...npz", frac=100, out=tmp_path/"runs"))
    assert cell.folder.resolve().is_relative_to(tmp_path/"runs")
    assert cell.train.classes == ("../../a", "/etc/b")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "runs"]


def test_disk_full_leaves_the_old_file(tmp_path):
    "A limit on the size of files stands for the disk."
    code = """
import resource, signal, sys
from ndaug.core import write_json
write_json(sys.argv[1], {"old": 1})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    write_json(sys.argv[1], {"new": "x"*100_000})
except OSError as e:
    print(e)
"""
    r = subprocess.run([sys.executable, "-c", code, str(tmp_path/"a.json")], capture_output=True, text=True)
    assert "File too large" in r.stdout, r.stderr
    assert (tmp_path/"a.json").read_text() == '{\n"old": 1\n}\n' and len(list(tmp_path.iterdir())) == 1


def test_out_of_memory_names_the_batch_and_writes_no_record(tmp_path, cache):
    cell = study.open_cell(read_params(protocol="smoke", device="cpu", arms="CDCGAN", out=tmp_path))
    full = patch("ndaug.training.fit", side_effect=torch.OutOfMemoryError("CUDA out of memory"))
    with full, pytest.raises(MemoryError, match="batches of 64 for the classifier, 64 for CDCGAN"):
        study.run_arm(cell.run("CDCGAN"))
    assert not list(tmp_path.rglob("*.json"))


def test_ctrl_c_says_how_to_resume(tmp_path, cache):
    code = """
import signal, sys, time
from unittest.mock import patch
from ndaug import study
from ndaug.params import read_params
# as from a terminal; jobs in the background of a shell ignore it
signal.signal(signal.SIGINT, signal.default_int_handler)
cell = study.open_cell(read_params(protocol="smoke", device="cpu", arms="ORIG", out=sys.argv[1]))
def long(*args, **kwargs):
    print("training", flush=True)
    time.sleep(600)
with patch.object(study, "fit_classifier", long):
    study.run_cell(cell)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in p.stdout:
        if line == "training\n":
            break
    p.send_signal(signal.SIGINT)
    assert "run the same again to go on" in p.communicate(timeout=60)[0] and p.returncode != 0
