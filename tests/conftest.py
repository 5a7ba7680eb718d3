import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: minutes; run with --slow")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"): return
    for item in items:
        if "slow" in item.keywords: item.add_marker(pytest.mark.skip(reason="slow: give --slow"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    "One cache for the session: the smoke protocol's domain features are trained once."
    d = tmp_path_factory.mktemp("cache")
    os.environ["NDAUG_CACHE"] = str(d)
    return d
