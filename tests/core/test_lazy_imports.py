import sys

import pytest

from goldfold.lazy_imports import lazy_exports


def test_a_name_is_found_in_its_module_when_it_is_asked_for(monkeypatch):
    monkeypatch.delitem(sys.modules, "goldfold.settings_text", raising=False)
    find = lazy_exports("goldfold", {"to_toml": "settings_text"})
    assert "goldfold.settings_text" not in sys.modules
    assert find("to_toml")({"a": 1}) == "a = 1\n"


def test_another_name_is_no_attribute():
    find = lazy_exports("goldfold.folds", {})
    with pytest.raises(AttributeError, match=r"module 'goldfold\.folds' has no attribute 'x'"):
        find("x")
