"""docs/extending.md: its examples train and predict; code of strangers does not run."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

from goldfold.competitions.class_metric_score import class_metric_score
from goldfold.errors import InputError
from goldfold.own_code import bind
from goldfold.pipeline import read_model

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
MODULES = dict(re.findall(r"^```python\n# (my_\w+\.py)\n(.*?)^```$", PAGE, flags=re.M | re.S))
(TOML,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, flags=re.M | re.S)


def write_modules(folder):
    for name, text in MODULES.items():
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def own(synthetic, init_run, invoke, tmp_path_factory):
    """Return a whole run whose network, loss, schedule, steps and metric are those of the page."""
    run = init_run(synthetic / "data", tmp_path_factory.mktemp("own") / "run")
    before, _, _ = (run / "goldfold.toml").read_text().partition("[[models]]")
    assert "folds" in before
    competition, _, models = TOML.partition("[[models]]")
    assert competition.split() == ["[competition]", "metric", "=", '"my_metrics:iou"']
    before = re.sub(r"^metric = .*\n", "", before, flags=re.M)
    before = before.replace("[competition]\n", '[competition]\nmetric = "my_metrics:iou"\n', 1)
    models = models.replace("image_size = 64", "image_size = 64\nkeep_checkpoints = 3")
    (run / "goldfold.toml").write_text(f"{before}[[models]]{models}")
    write_modules(run)
    done = invoke("run", run, "--set", 'training.augment_on="device"')
    assert done.code == 0, done.err
    assert "augmenting on the CPU, as the GPU path has no steps" in done.err
    return run


@pytest.fixture(scope="module")
def exported(own, invoke, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "mine"
    done = invoke("export", own, "-o", folder)
    assert done.code == 0, done.err
    return folder


def an_image(synthetic):
    return sorted((synthetic / "data").rglob("*.dcm"))[0]


def test_the_page_has_every_kind(own):
    assert set(MODULES) == {
        f"my_{n}.py" for n in ("models", "losses", "schedules", "steps", "metrics")
    }
    assert tomllib.loads(TOML)["models"][0]["architecture"] == "my_models:build"


def test_its_score_is_that_of_its_metric(own):
    report = json.loads((own / "ensemble.json").read_text())
    assert 0 < report["honest"]["score"] <= 1
    facts = json.loads(next(own.glob("models/mine/*/*/*/checkpoints/*.json")).read_text())
    assert re.fullmatch(r"my_models:build@[0-9a-f]{12}", facts["architecture"])
    assert facts["options"] == {"width": 6}
    row = (own / "models/mine/seed-0/fold-0/stage-1/history.csv").read_text().splitlines()
    assert len(row) == 3


def test_a_changed_loss_makes_the_training_out_of_date(own, invoke, tmp_path):
    run = shutil.copytree(own, tmp_path / "own" / "run")
    assert "finished" in invoke("train", "run", own, "--dry-run").out
    with (run / "my_losses.py").open("a") as file:
        file.write("\n# changed\n")
    done = invoke("train", "run", run, "--dry-run", "--set", f"competition.data={data_of(own)}")
    assert done.code == 2
    assert "stage-1.loss.own.my_losses:squared_dice@" in done.err


def data_of(run):
    return json.loads((run / "run.json").read_text())["settings"]["competition"]["data"]


def test_an_export_runs_no_code_unless_trusted(exported, synthetic, invoke):
    assert [path.name for path in (exported / "code").iterdir()] == ["my_models.py"]
    assert "This runs code/my_models.py: read it first." in (exported / "README.md").read_text()
    done = invoke("predict", "image", exported, an_image(synthetic))
    assert done.code == 2
    assert "my_models:build" in done.err
    assert str(exported / "code" / "my_models.py") in done.err
    assert "--trust" in done.err
    done = invoke("predict", "image", exported, an_image(synthetic), "--trust", "--json")
    assert done.code == 0, done.err
    assert done.json["images"][0]["height"] == 96


def test_a_run_directory_runs_no_code_unless_trusted(own, synthetic, invoke):
    done = invoke("predict", "image", own, an_image(synthetic))
    assert done.code == 2
    assert str(own / "my_models.py") in done.err
    done = invoke("predict", "image", own, an_image(synthetic), "--trust")
    assert done.code == 0, done.err


def test_planted_code_does_not_run(exported, tmp_path):
    """Neither a module that was exchanged, nor one that is named by weights alone."""
    marker = tmp_path / "ran"
    evil = f"from pathlib import Path\nPath({str(marker)!r}).touch()\ndef build(**_): pass\n"
    model = shutil.copytree(exported, tmp_path / "model")
    (model / "code" / "my_models.py").write_text(evil)
    with pytest.raises(InputError, match="names Python code that would run"):
        read_model(model)
    with pytest.raises(InputError, match="is not the file that was exported"):
        read_model(model, trust=True)
    (model / "evil.py").write_text(evil)
    reference = bind("evil:build", model)
    for facts in (model / "weights").glob("*.json"):
        content = json.loads(facts.read_text())
        facts.write_text(json.dumps({**content, "architecture": reference}))
    content = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps({**content, "code": []}))
    with pytest.raises(InputError, match=r"evil:build of .*evil\.py"):
        read_model(model)
    with pytest.raises(InputError, match=r"evil\.py is missing"):
        read_model(model, trust=True)
    assert not marker.exists()


def test_the_metric_of_classes(tmp_path):
    write_modules(tmp_path)
    metric = bind("my_metrics:brier", tmp_path)
    targets = np.array([[1, 0], [0, 1], [1, 1]], np.uint8)
    probability = np.array([[1.0, 0.0], [0.5, 0.5], [1.0, 0.0]])
    assert class_metric_score(metric, targets, probability, exclusive=False) == pytest.approx(0.75)
    twice = class_metric_score(
        metric, targets, probability, exclusive=False, weights=np.array([2.0, 0.0, 1.0])
    )
    assert twice == pytest.approx(1 - 1 / 6)
