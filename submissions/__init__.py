"""Submissions: write one like the sample, check it, score it, and record its inputs."""

from goldfold.lazy_imports import lazy_exports

__all__ = [
    "CheckReport",
    "PartScore",
    "Problem",
    "Sample",
    "Scores",
    "check_submission",
    "read_sample",
    "score_submission",
    "submission_facts",
    "write_rows",
    "write_submission",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "CheckReport": "check",
        "PartScore": "score",
        "Problem": "check",
        "Sample": "table",
        "Scores": "score",
        "check_submission": "check",
        "read_sample": "table",
        "score_submission": "score",
        "submission_facts": "provenance",
        "write_rows": "write",
        "write_submission": "fill_sample",
    },
)
