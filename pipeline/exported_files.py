"""The files of an exported model: weights, facts, settings, model card, ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.checked_json import check_json
from goldfold.errors import InputError
from goldfold.files import atomic_path, whole_folder, write_bytes, write_json, write_text
from goldfold.pipeline.model_code import write_code
from goldfold.settings_text import to_toml
from goldfold.vocabulary import score_name

if TYPE_CHECKING:
    from goldfold.pipeline.image_model import ImageModel
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.settings_rows import PredictionRows
    from goldfold.tasks.image_decision import ImageDecision

CARD_FILE = "README.md"
SETTINGS_FILE = "goldfold.toml"


def write_model(
    run: OpenRun, model: ImageModel, folder: Path, *, onnx: bool, overwrite: bool
) -> list[Path]:
    """Write a model into a folder of its own, whole or not at all, and return the files.

    Args:
        run: whose model it is.
        model: of `model_of_run`.
        folder: must be new, empty, or (with `overwrite`) hold an exported model.
        onnx: write an ONNX file of each member, too.
        overwrite: replace an exported model.

    Raises:
        InputError: the folder holds something else, packages for ONNX are missing, or a title or
            class name is one that no reader of models accepts.
        OutputError: a file cannot be written.
    """
    import shutil

    _refuse_others(folder, overwrite)
    if onnx:
        require_onnx()
    with whole_folder(folder) as partial:
        written = _write_files(run, model, partial, onnx=onnx)
        if folder.exists():
            shutil.rmtree(folder)  # an older model, which is replaced
    return [folder / path.relative_to(partial) for path in written]


def _write_files(run: OpenRun, model: ImageModel, folder: Path, *, onnx: bool) -> list[Path]:
    """Write all files of a model and return them."""
    from goldfold.pipeline.model_file import ModelFile
    from goldfold.pipeline.model_folder import FACTS_FILE, WEIGHTS_FOLDER, describe_members

    names: dict[Path, str] = {}
    architectures: list[str] = []
    written = []
    for member in model.members:
        for training in member.networks:
            for checkpoint in training.checkpoints:
                name = (
                    f"{member.name}-seed-{training.seed}-fold-{training.fold}-"
                    f"{checkpoint.path.name}"
                )
                names[checkpoint.path] = name
                architectures.append(checkpoint.facts["architecture"])
                target = folder / WEIGHTS_FOLDER / name
                write_bytes(target, checkpoint.path.read_bytes())
                write_json(target.with_suffix(".json"), checkpoint.facts)
                written += [target, target.with_suffix(".json")]
    settings = run.settings.model_dump(mode="json")
    settings["competition"]["data"] = run.settings.competition.data.name
    write_text(folder / SETTINGS_FILE, to_toml(settings))
    facts = {
        **model.facts,
        "decision": model.decision.content(),
        "members": describe_members(model.members, names),
    }
    code, modules = write_code(folder, architectures)
    if code:
        facts["code"] = code
    written += modules
    rows = run.settings.competition.rows
    write_text(folder / CARD_FILE, model_card(facts, model.decision, single_images_only(rows)))
    written += [folder / SETTINGS_FILE, folder / CARD_FILE]
    if onnx:
        written += write_onnx(run, model, folder)
    write_json(folder / FACTS_FILE, facts)
    content = (folder / FACTS_FILE).read_bytes()
    remedy = "Correct title and classes of [competition] in goldfold.toml, and export again."
    check_json(content, ModelFile, Path(FACTS_FILE), remedy)  # what is written can be read
    return [*written, folder / FACTS_FILE]


def _refuse_others(folder: Path, overwrite: bool) -> None:
    """Accept a new or empty folder, or one with a model that may be replaced.

    Raises:
        InputError: the folder holds something else.
    """
    from goldfold.pipeline.model_folder import FACTS_FILE

    if folder.is_file():
        raise InputError(f"{folder} is a file, not a folder. Choose another name.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    ours = (folder / FACTS_FILE).is_file()
    if not (ours and overwrite):
        hint = "Add --overwrite to replace it, or choose" if ours else "Choose"
        content = "an exported model" if ours else "other files"
        raise InputError(f"{folder} holds {content}. {hint} another folder.")


def single_images_only(rows: PredictionRows | None) -> str:
    """Return that a model speaks of images where its scores are of rows; "" where both are one."""
    if rows is None:
        return ""
    return (
        f"Scores and thresholds are of groups of images (equal {', '.join(rows.columns)}), each "
        f"predicted as the {rows.aggregate} of its images. The exported model speaks of single "
        f"images: take the {rows.aggregate} over a group and hold it against the thresholds."
    )


def model_card(facts: dict[str, Any], decision: ImageDecision, limits: str = "") -> str:
    """Return the text of the model card: what the model is, its scores, how to use it.

    Args:
        facts: content of model.json.
        decision: blend and thresholds.
        limits: what else is to be known before it is used.
    """
    honest = facts["scores"]["honest"]
    interval = honest["interval"]
    code = [f"code/{module['module']}.py" for module in facts.get("code", [])]
    count = facts["images"]["all"] if isinstance(facts["images"], dict) else facts["images"]
    trainings = [training for member in facts["members"] for training in member["networks"]]
    networks = sum(len(training["weights"]) for training in trainings)
    lines = [
        f"# {facts['title'] or 'A model'}",
        "",
        f"Predicts {decision.summary()} of an image. Exported by goldfold {facts['goldfold']}; "
        f"{networks} networks: {', '.join(member['name'] for member in facts['members'])}.",
        "",
        "## Scores",
        "",
        f"Out of fold, on {count:,} {'groups of ' if limits else ''}training images: "
        f"{score_name(facts['metric'])} "
        f"**{honest['score']:.4f}** "
        f"({interval['level']:.0%} interval {interval['low']:.4f} to {interval['high']:.4f}); "
        f"blend and thresholds were chosen on {honest['chosen_on']}. The networks here are those "
        "of all folds together, which no labelled image has judged.",
        "",
        *_measure_lines(decision.measure_rows(facts["measures"])),
        "## Use",
        "",
        "```",
        "pip install goldfold",
        f"goldfold predict image THIS_FOLDER IMAGE.dcm --json{' --trust' if code else ''}",
        "```",
        "",
        "```python",
        "import goldfold as gf",
        "",
        f'model = gf.read_model("THIS_FOLDER"{", trust=True" if code else ""})',
        'prediction = model.predict("IMAGE.dcm")',
        "```",
        "",
        *([limits, ""] if limits else []),
        *([f"This runs {', '.join(code)}: read it first.", ""] if code else []),
        "## Limits",
        "",
        "It knows images like those of its competition and no others: other devices, other views, "
        "other ages and other diseases were not looked at. Nothing here is a medical device; do "
        "not use it to decide on a patient's care. The competition's terms hold for what was "
        "learnt from its data.",
        "",
    ]
    return "\n".join(lines)


def _measure_lines(rows: list[list[Any]]) -> list[str]:
    """Return a table of measures, head first, as Markdown; nothing of no rows."""
    if not rows:
        return []
    head, *others = rows
    cells = [[row[0], *("" if v is None else f"{v:.4f}" for v in row[1:])] for row in others]
    return [*(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *cells)), ""]


def require_onnx() -> None:
    """Raise InputError unless the packages that write and run ONNX files are there."""
    from importlib.util import find_spec

    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise InputError(f"--onnx needs {' and '.join(missing)}: `pip install 'goldfold[onnx]'`.")


def write_onnx(run: OpenRun, model: ImageModel, folder: Path) -> list[Path]:
    """Write an ONNX file for each member: images to probabilities, all networks and views in one.

    Input `images`, float32 (N, C, H, W), gray levels from 0 to 255, neighbours as further
    channels; output `probability`, float32 (N, M, H, W) of M masks or (N, C) of classes, the mean
    over networks and views.

    Raises:
        InputError: views change the scale, or the mean is not the plain one.
    """
    import torch

    from goldfold.pipeline.onnx_network import MeanNetwork
    from goldfold.training.checkpoint import load_model

    how = model.facts["inference"]
    if how["merge"] != "mean" or any(view.scale != 1 for view in model.views) or how["tile"]:
        raise InputError(
            "--onnx writes plain means over flips and turns, not other merges, scales or tiles. "
            'Leave it out, or set inference.merge = "mean" and inference.views = "hflip".'
        )
    written = []
    for member in model.members:
        networks = [
            load_model(checkpoint, torch.device("cpu"))
            for training in member.networks
            for checkpoint in training.checkpoints
        ]
        mean = MeanNetwork(networks, model.views, model.decision.probability).eval()
        example = torch.zeros(1, member.inputs, *member.image_size)
        path = folder / f"{member.name}.onnx"
        with atomic_path(path) as temporary:
            torch.onnx.export(
                mean,
                (example,),
                str(temporary),
                input_names=["images"],
                output_names=["probability"],
                dynamic_axes={"images": {0: "n"}, "probability": {0: "n"}},
                opset_version=17,
                dynamo=False,
            )
        written.append(path)
    return written
