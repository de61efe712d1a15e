"""goldfold: from a folder of medical images and a label table to a scored submission.

    import goldfold as gf

    gf.Run               a run: create, open, train, predict, ensemble, submit, score
    gf.read_model        an exported model that predicts single images
    gf.LineProgress      what a run is doing, in printed lines

The pieces that work on your own tables, masks and predictions:

    gf.build_folds       folds of a pandas table that keep patients whole
    gf.FoldSampler       a PyTorch sampler with the sampling schedules
    gf.rle               run-length encodings: encode, decode, DIALECTS
    gf.choose_rule       the best thresholds for probability maps, honestly scored
    gf.ProbabilityRule   thresholds that turn a probability map into a mask
    gf.honest_score      the honest score of masks or classes, with any metric
    gf.write_submission  a checked submission in the sample's form
    gf.InputError        what is raised when something you passed is wrong
"""

from goldfold.lazy_imports import lazy_exports

__version__ = "0.1.0"

_PACKAGES = {
    "FoldSampler": "training",
    "InputError": "errors",
    "LineProgress": "progress_lines",
    "ProbabilityRule": "ensemble",
    "Run": "pipeline",
    "build_folds": "folds",
    "choose_rule": "ensemble",
    "honest_score": "ensemble",
    "read_model": "pipeline",
    "rle": "competitions",
    "write_submission": "submissions",
}
"""Public name -> package or module that exports it; imported when the name is first used."""

__all__ = ["__version__", *sorted(_PACKAGES)]  # noqa: PLE0604

__getattr__ = lazy_exports(__name__, _PACKAGES)


def __dir__() -> list[str]:
    """Return the public names, so that notebooks complete them before their first use."""
    return sorted({*globals(), *__all__})
