import hashlib
import json
import platform
from importlib import metadata

import pytest

from goldfold.errors import InputError
from goldfold.files import write_json
from goldfold.settings import Settings
from goldfold.submissions.provenance import package_versions, submission_facts


def make(folder, settings=None):
    (folder / "folds.csv").write_text("image_id,fold\na,0\n")
    return submission_facts(
        settings=settings or Settings().model_dump(mode="json"),
        seeds={"folds": 0, "models": {"unet-resnet34": [0]}},
        checkpoints={"models/unet-resnet34/seed-0/fold-0/checkpoints/e1.safetensors": "ab" * 32},
        files={"folds": folder / "folds.csv"},
    )


def test_facts(tmp_path):
    facts = make(tmp_path)
    assert facts.keys() == {
        "settings",
        "settings_fingerprint",
        "seeds",
        "checkpoints",
        "files",
        "versions",
    }
    digest = hashlib.sha256(b"image_id,fold\na,0\n").hexdigest()
    assert facts["files"] == {"folds": {"name": "folds.csv", "sha256": digest}}
    assert facts["settings"]["folds"]["seed"] == 0
    assert len(facts["settings_fingerprint"]) == 16
    assert json.loads(json.dumps(facts)) == facts


def test_same_run_same_bytes_wherever_it_lies(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "submission.json", make(tmp_path / name))
    first, second = (tmp_path / name / "submission.json" for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()


def test_other_settings_have_another_fingerprint(tmp_path):
    other = make(tmp_path, {"folds": {"count": 7}})
    assert other["settings_fingerprint"] != make(tmp_path)["settings_fingerprint"]


def test_versions():
    versions = package_versions(["numpy", "no-such-package"])
    assert versions == {
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "no-such-package": "not installed",
    }
    assert {"goldfold", "torch", "numpy", "python"} <= package_versions().keys()


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*gone\.csv, the folds file of the subm"):
        submission_facts(
            settings={}, seeds={}, checkpoints={}, files={"folds": tmp_path / "gone.csv"}
        )
