"""`goldfold config`."""

import tomllib


def test_show_gives_every_setting_as_toml(finished, synthetic, invoke):
    content = tomllib.loads(invoke("config", "show", finished).out)
    assert content["models"][0]["name"] == "tiny"
    assert content["models"][0]["stages"][0]["gradient_clip"] == 1.0
    assert content["competition"]["labels"]["dialect"] == "siim"
    assert content["competition"]["data"] == str(synthetic / "data")


def test_show_with_an_assignment_and_as_json(finished, invoke, contents):
    before = contents(finished)
    shown = invoke("config", "show", finished, "--json", "--set", "folds.count=4").json
    assert shown["folds"]["count"] == 4
    assert shown["workers"] == 1
    assert contents(finished) == before


def test_the_schema_describes_every_setting(invoke):
    schema = invoke("config", "schema").json
    for table in (schema, *schema["$defs"].values()):
        for name, field in table.get("properties", {}).items():
            assert field.get("description"), name
