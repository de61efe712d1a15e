"""docs/notebooks: every code cell runs, in order, and the results are what the text says.

The cells run in this process by the code that also builds the documentation. A Jupyter kernel for
each notebook would import PyTorch anew and bring thirty packages along.
"""

import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def pages():
    """Return the module that runs notebooks, which imports another one of docs/site."""
    sys.path.insert(0, str(ROOT / "docs" / "site"))
    try:
        yield importlib.import_module("notebook_pages")
    finally:
        sys.path.remove(str(ROOT / "docs" / "site"))
        sys.modules.pop("notebook_pages"), sys.modules.pop("repository_pages", None)


@pytest.fixture
def run(pages, tmp_path, monkeypatch):
    """Return a function that runs a notebook in an empty folder, and returns names and prints."""
    monkeypatch.chdir(tmp_path)

    def run_notebook(name):
        cells = pages.read_cells(ROOT / "docs" / "notebooks" / f"{name}.ipynb")
        names = pages.run_cells(cells, name)
        outputs = [output for cell in cells for output in cell.outputs]
        return names, outputs

    return run_notebook


def printed(outputs):
    return "".join(output.content for output in outputs if output.kind == "text")


def kinds(outputs):
    return {output.kind for output in outputs}


def test_a_competition_from_end_to_end(run, invoke):
    names, outputs = run("competition")
    assert kinds(outputs) == {"text", "html", "png"}
    report, scores = names["report"], names["scores"]
    assert report["all_empty"] < report["honest"]["score"] <= report["optimistic"]
    assert report["images"]["all"] == len(names["worst"]) == 64
    assert names["worst"]["score"].is_monotonic_increasing
    assert names["worst"]["score"].iloc[0] < report["honest"]["score"]
    done = invoke(
        "submit", "check", names["submission"],
        "--sample", names["data"] / "stage_2_sample_submission.csv",
        "--competition", names["run"].directory.root,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert scores.parts["overall"].images == 24
    assert np.isfinite(names["history"]["loss"]).all()
    assert len(names["history"]) == 2 * 20


def test_your_own_lightning_loop(run):
    pytest.importorskip("pytorch_lightning", reason="pip install pytorch-lightning")
    names, outputs = run("lightning")
    table, choice = names["table"], names["choice"]
    assert table.groupby("patient_id")["fold"].nunique().max() == 1
    # Each map is from the model that did not see the image, so the network learned from others.
    assert choice.honest > choice.all_empty + 0.1
    assert choice.honest <= choice.optimistic
    assert f"honest {choice.honest:.4f}" in printed(outputs)
    assert "Warning" not in printed(outputs)
    written = pd.read_csv("submission.csv", keep_default_na=False)
    assert list(written["id"]) == [f"test-{number:02d}" for number in range(12)]
    for name, text in zip(written["id"], written["rle_mask"], strict=True):
        mask = names["gf"].rle.decode(text, 32, 32, "kaggle")
        assert np.array_equal(mask, names["answers"][name])


def test_an_honest_score_for_your_own_predictions(run):
    names, outputs = run("own-predictions")
    text, judged, drawn = printed(outputs), names["judged"], names["drawn"]
    assert names["report"].leaking
    assert "LEAK: groups in more than one fold" in text
    score = names["roc_auc_score"]
    label = names["table"]["label"]
    assert score(label, names["leaky"]) > score(label, names["probability"]) + 0.05
    assert names["area"].honest == pytest.approx(score(label, names["probability"]))
    assert judged.honest < judged.optimistic
    assert max(names["curve"]) <= judged.optimistic + 1e-9
    too_high = drawn["optimistic"] - drawn["new images"]
    off = drawn["honest"] - drawn["new images"]
    assert abs(off.mean()) < too_high.mean()
    assert "was not written, 4 problems" in text
    assert Path("submission.csv").read_text() == (
        "image_id,label\ntest-0,0.7\ntest-1,0.2\ntest-2,0.1\ntest-3,0.9\n"
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path):
    book = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert code
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"]] == []
    assert book["nbformat"] == 4
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_of_a_notebook_lead_to_files(path, pages):
    text = "\n".join(cell.source for cell in pages.read_cells(path) if not cell.is_code)
    local = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    assert [target for target in local if not (path.parent / target).exists()] == []


def test_the_site_lists_every_notebook():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert len(NOTEBOOKS) == 3
    assert [path.stem for path in NOTEBOOKS if f"notebooks/{path.stem}.md" not in nav] == []


def test_a_failing_cell_is_named(pages):
    cells = [pages.Cell(False, "text"), pages.Cell(True, "x = 1"), pages.Cell(True, "x / 0")]
    with pytest.raises(ZeroDivisionError) as caught:
        pages.run_cells(cells, "mine")
    assert caught.value.__notes__ == ["in mine, cell 3:\nx / 0"]


def test_a_page_shows_what_cells_put_out(pages, tmp_path):
    cells = [
        ["markdown", "# Title\n\n[other](other.ipynb)"],
        ["code", "import pandas as pd\nprint('<b>')\npd.DataFrame({'a': [1]})"],
        ["code", "'hidden';"],
        ["code", "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"],
    ]
    book = {"cells": [{"cell_type": kind, "source": [source]} for kind, source in cells]}
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "mine.ipynb").write_text(json.dumps(book))
    text, pictures = pages.notebook_page(tmp_path, "docs/mine.ipynb")
    assert text.startswith("# Title\n\n[other](other.md)\n\n[Download this notebook](mine.ipynb)")
    assert "<pre>&lt;b&gt;</pre>" in text
    assert '<table border="1" class="dataframe">' in text
    assert "<style" not in text
    assert "hidden</pre>" not in text
    assert list(pictures) == ["mine-1.png"]
    assert "![](mine-1.png)" in text
    assert pictures["mine-1.png"].startswith(b"\x89PNG")
