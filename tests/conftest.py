import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def papermill(tmp, cwd=ROOT, notebook="run", env=None, **params):
    "Run a notebook as a user does; the executed copy is `tmp/out.ipynb`."
    if notebook == "run":
        params = dict(device="cpu", precision="float32") | params  # where the same seed promises the same record
    args = [a for k, v in params.items() for a in ("-p", k, str(v))]
    command = [sys.executable, "-m", "papermill", str(ROOT/"nbs"/f"{notebook}.ipynb"), str(tmp/"out.ipynb")]
    command += ["-k", "python3", "--no-progress-bar", *args]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=os.environ | (env or {}))


def without_times(path):
    "A record without what differs from run to run: times, and where the cache is."
    rec = {k: v for k, v in json.loads(path.read_text()).items() if not k.startswith(("seconds", "fits"))}
    rec["fid_detail"]["inception"]["reason"] = None  # it names the cache
    return rec


def kernel_env():
    "For commands that start kernels: the environment of this interpreter first."
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    "One cache for the session: the smoke protocol's domain features are trained once."
    d = tmp_path_factory.getbasetemp()/"cache"
    if "PYTEST_XDIST_WORKER" in os.environ: d = d.parent.parent/"cache"  # that of all workers
    d.mkdir(exist_ok=True)
    os.environ["NDAUG_CACHE"] = str(d)
    os.environ["NDAUG_INCEPTION"] = ""
    return d


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests that take many minutes")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes many minutes, run with --slow")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="takes many minutes, of which the whole suite has fifteen: run with pytest --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)
