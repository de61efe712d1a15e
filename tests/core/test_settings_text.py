import tomllib

from hypothesis import given
from hypothesis import strategies as st

from goldfold.settings import Settings
from goldfold.settings_text import to_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    TEXT | st.integers(-(2**53), 2**53) | st.booleans() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
TABLES = st.recursive(
    st.dictionaries(TEXT, VALUES, max_size=3),
    lambda inner: st.dictionaries(
        TEXT, inner | st.lists(inner, min_size=1, max_size=2) | VALUES, max_size=3
    ),
    max_leaves=6,
)


@given(TABLES)
def test_any_plain_settings_come_back(content):
    assert tomllib.loads(to_toml(content)) == content


def test_by_hand():
    content = {"b": {"c": {}, "x": None}, "a": 1.0, "d": [{"e": [True, "x\n"]}, {"f g": -0.5}]}
    assert to_toml(content) == (
        'a = 1.0\n\n[b]\n\n[b.c]\n\n[[d]]\ne = [true, "x\\n"]\n\n[[d]]\n"f g" = -0.5\n'
    )


def test_the_whole_settings_come_back():
    content = Settings().model_dump(mode="json", exclude_none=True)
    assert Settings.model_validate(tomllib.loads(to_toml(content))) == Settings()
