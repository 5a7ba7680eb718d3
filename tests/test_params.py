"Parameters as papermill and JupyterLab hand them over: types, names, the folder of the command, where records go."
import json
import os

import pytest
from conftest import ROOT, papermill
from ndaug.params import PARAMS, check_names, leave_nbs, read_params
from PIL import Image

CELLS = ["".join(c["source"]) for c in json.loads((ROOT/"nbs"/"run.ipynb").read_text())["cells"]
         if c["cell_type"] == "code"]
RIGHT, CHECK = CELLS[0].replace('"quick"', '"smoke"'), CELLS[1]


def photos(folder, n=20):
    for k in "ab":
        (folder/k).mkdir(parents=True)
        for i in range(n):
            Image.effect_noise((16, 16), 90).save(folder/k/f"{i}.png")
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def says(f, *words):
    with pytest.raises(ValueError) as e:
        f()
    text = str(e.value)
    assert "\n" not in text and all(w in text for w in words), text


@pytest.mark.parametrize("name", PARAMS)
def test_null_is_the_default(name):
    asked = dict(device="cpu", precision="float32")
    assert read_params(**asked | {name: None}) == read_params(**{k: v for k, v in asked.items() if k != name})


@pytest.mark.parametrize("name", PARAMS)
@pytest.mark.parametrize("value", [
    True, 7, 1e3, float("nan"), float("inf"), 10**400, [], [["a"]], [None], {"a": 1}, ""])
def test_each_parameter_takes_a_value_or_says_so_in_one_sentence(here, name, value):
    try:
        read_params(**dict(device="cpu", precision="float32") | {name: value})
    except ValueError as e:
        assert "\n" not in str(e) and str(e).startswith(name), e


@pytest.mark.parametrize("names, given, taken, words", [
    (["2024"], 2024, "2024", ()),
    (["2024_01"], 202401, None, ["2024_01"]),
    (["007"], 7, None, ["./007"]),
    (["1e3"], 1e3, None, ["./1e3"]),
    (["2024", "2_024"], 2024, None, ["./2024", "./2_024"]),
    (["True"], True, "True", ()),
    (["010"], 8, None, ["./010"]),  # from a parameter file
    ([], 202401, None, ["dataset=202401", "./2024_01"]),
    ([], ["photos"], None, ["dataset=['photos']", "one path"]),
])
def test_numbers_for_names_of_data_sets(here, names, given, taken, words):
    for n in names:
        (here/n).mkdir()
    if taken:
        assert read_params(dataset=given).dataset == taken
    else:
        says(lambda: read_params(dataset=given), *words)


def test_numbers_for_folders(here):
    assert str(read_params(out=2024).out) == "2024"
    (here/"2024_01").mkdir()
    says(lambda: read_params(out=202401), "out=202401", "./2024_01")
    says(lambda: read_params(out=2024.1), "out=2024.1", "./")  # 2024.10, perhaps
    says(lambda: read_params(data_dir=202401), "data_dir=202401", "./2024_01")
    (here/"7").mkdir()
    assert read_params(data_dir=7).data_dir == "7"


@pytest.mark.parametrize("seed", [2**53, str(2**53), "1e3", 1700000000123456])
def test_seeds_are_exact(seed):
    assert read_params(seed=seed).seed == (1000 if seed == "1e3" else int(seed))


@pytest.mark.parametrize("seed", [2**53 + 1, 1700000000123456789, "1700000000123456789", 1.7e18, True, 10**400])
def test_seeds_that_would_be_rounded_are_refused(seed):
    says(lambda: read_params(seed=seed), f"seed={seed!r}", "0 to 9007199254740992")


def test_empty_names(here):
    for value in ("", "  ", "\t"):
        says(lambda: read_params(dataset=value), f"dataset={value!r} is empty")
        says(lambda: read_params(out=value), f"out={value!r} is empty")


def test_records_stay_out_of_the_data_set(here, monkeypatch):
    data = photos(here/"photos", 1)
    (here/"link").symlink_to(data)
    for out in (data, data/"runs", "photos/a/../runs", here/"link"/"runs", here):  # the last holds <out>/photos
        says(lambda: read_params(dataset="photos", out=out), "out=", "beside it", "photos-runs")
    says(lambda: read_params(dataset="link", out="photos/runs"), "beside it")
    assert read_params(dataset="photos", out="photos-runs").dataset == "photos"
    (here/"a.npz").touch()
    assert read_params(dataset="a.npz", out=".").dataset == "a.npz"
    monkeypatch.chdir(data)
    says(lambda: read_params(dataset="."), "out='reports/runs'", "beside it")
    assert sorted(p.name for p in data.iterdir()) == ["a", "b"]


def names(*executed, allowed=PARAMS):
    "What is given where these cells were executed in one kernel."
    variables = dict(In=["", *executed, CHECK], spark=1)
    for source in executed:
        exec(source.replace(CHECK, ""), variables)
    return check_names(variables, allowed)


def test_names_of_the_parameters_cell_and_no_others():
    all_of_them = names(RIGHT)
    assert tuple(all_of_them) == PARAMS
    own = 'DATA = "/x"; n = 3\ndef helper(): seed = 4'
    assert names(own, RIGHT) == names(RIGHT, own) == names(RIGHT, CHECK, own) == all_of_them
    assert names(RIGHT, "n = 3; seed = n") == all_of_them | {"seed": 3}
    assert names(RIGHT + "\nseed: int = 3\nseed += 1\nfrac, _mine = 5, 6") == all_of_them | {"seed": 4, "frac": 5}
    assert names(RIGHT, "# Parameters\nseed = 7\nPAPERMILL_INPUT_PATH = 1\n") == all_of_them | {"seed": 7}


def test_a_parameter_taken_out_of_the_cell_stands_at_its_default():
    for between in ((), (CHECK,), (CHECK, "records = []", CHECK)):
        assert "seed" not in names(RIGHT.replace("seed = 0", "seed = 5"), *between, RIGHT.replace("seed = 0", ""))


@pytest.mark.parametrize("typo", ["sed = 3", "sed: int = 3", "sed, frac = 3, 4", "seed, (frac, *sed) = 1, (2, 3)"])
def test_misspelt_names(typo):
    wrong = f"{RIGHT}\n{typo}"
    injected = "# Parameters\nfrac = 1"
    for before in ((), (RIGHT, CHECK), (RIGHT, CHECK, "records = []", CHECK), (wrong,), (RIGHT, injected)):
        says(lambda: names(*before, wrong), "is no parameter", "did you mean 'seed'?")
        assert names(*before, wrong, CHECK, RIGHT) == names(RIGHT)  # mended
    says(lambda: names(RIGHT, f"# Parameters\n{typo}\n"), "is no parameter")
    assert names(RIGHT, f"# Parameters\n{typo}\n", CHECK, "# Parameters\nseed = 3\n")["seed"] == 3
    says(lambda: names('study = "a"; otu = "b"', allowed=("study", "out")), "did you mean 'out'?")


def test_a_cell_that_may_be_either_is_not_guessed():
    says(lambda: names(RIGHT, CHECK, "seed = 5"), "seed", "restart the kernel")
    assert names(RIGHT, CHECK, "seed = 5", RIGHT)["seed"] == 0


def test_only_this_projects_nbs_is_left_and_only_in_jupyterlab(here, monkeypatch):
    for lib_name, started, left in (("ndaug", "lab", True), ("ndaug", None, False), ("other", "lab", False)):
        project = here/f"{lib_name}-{started}"
        (project/"nbs").mkdir(parents=True)
        (project/"nbs"/"run.ipynb").touch()
        (project/"settings.ini").write_text(f"[DEFAULT]\nlib_name = {lib_name}\n")
        monkeypatch.chdir(project/"nbs")
        if started:
            monkeypatch.setenv("JPY_SESSION_NAME", str(project/"nbs"/"run.ipynb"))
        else:
            monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
        leave_nbs()
        assert os.getcwd() == str(project if left else project/"nbs")


def test_in_one_kernel(tmp_path):
    "As in JupyterLab: `Run All` with a typo, mended, once more, a typo in a kernel that has run."
    from jupyter_client.manager import start_new_kernel
    km, kc = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    try:
        def run(code):
            said = []
            hear = lambda m: said.append(m["content"].get("evalue", ""))
            r = kc.execute_interactive(code, timeout=120, output_hook=hear)
            return r["content"]["status"], "".join(said)
        run('DATA = "/x"')
        for typo in ('proticol = "smoke"', "sed = 3"):
            run(f"{RIGHT}\n{typo}")
            status, said = run(CHECK)
            assert status == "error" and "did you mean" in said
            for cell in (RIGHT, CHECK, CHECK, "n = 3", RIGHT, CHECK):
                assert run(cell)[0] == "ok"
    finally:
        kc.stop_channels()
        km.shutdown_kernel(now=True)


def test_papermill_in_a_folder_called_nbs_with_a_startup_file(tmp_path, cache):
    "Relative paths count from the folder of the command; `out` 2024 is a number to papermill, and None is null."
    photos(tmp_path/"nbs"/"photos")
    start = tmp_path/"ipython"/"profile_default"/"startup"/"00.py"
    start.parent.mkdir(parents=True)
    start.write_text("DATA = '/scratch/me'\nseed = 9\n")
    r = papermill(tmp_path, cwd=tmp_path/"nbs", env={"IPYTHONDIR": str(tmp_path/"ipython")}, dataset="photos", frac=100,
                  arms="ORIG", protocol="smoke", out=2024, features=None, draws=None, size=20, fit="letterbox")
    assert r.returncode == 0, r.stderr[-3000:]
    assert (tmp_path/"nbs"/"2024"/"photos"/"100"/"0"/"ORIG.json").exists()
    assert "photos: images of 16x16 are resized to 20x20; enlarged, and so blurred: 40 of 40" in (
        tmp_path/"out.ipynb").read_text()


def test_papermill_names_the_folder_it_made_a_number_of(tmp_path):
    (tmp_path/"2024_01").mkdir()
    r = papermill(tmp_path, cwd=tmp_path, dataset="2024_01")
    assert r.returncode and r.stderr.strip().splitlines()[-1].startswith("ValueError: dataset=202401")
    assert "'./2024_01'" in r.stderr.strip().splitlines()[-1] and not (tmp_path/"reports").exists()
