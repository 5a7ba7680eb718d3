import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    "One cache for the session: the smoke protocol's domain features are trained once."
    d = tmp_path_factory.mktemp("cache")
    os.environ["NDAUG_CACHE"] = str(d)
    os.environ["NDAUG_INCEPTION"] = ""
    return d


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests that take many minutes")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes many minutes, run with --slow")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="takes many minutes, of which the whole suite has fifteen: run with pytest --slow"))
