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
