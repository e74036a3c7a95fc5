"""Shared fixtures: where the demo data and the optional ../shared folder are."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection_modifyitems(items):
    """Tests marked `shared` compare with ../shared and are skipped where it is absent; `cuda` ones need a device."""
    for item in items:
        if item.get_closest_marker("shared") and not SHARED.is_dir():
            item.add_marker(pytest.mark.skip(reason="../shared is not here"))
        if item.get_closest_marker("cuda"):
            from gpugenome import backend

            problem = backend._cuda_problem()
            if problem:
                item.add_marker(pytest.mark.skip(reason=problem))


@pytest.fixture(scope="session")
def demo():
    """The folder of the demo data."""
    return ROOT / "data"


@pytest.fixture(scope="session")
def shared():
    """The folder ../shared."""
    return SHARED
