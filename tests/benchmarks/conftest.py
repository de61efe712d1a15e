"""The pure parts of the benchmarks, which are no package."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def benchmark_module():
    """Return a function that imports a file below benchmarks/ by its path."""

    def load(path):
        name = "benchmarks_" + path.removesuffix(".py").replace("/", "_")
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load
