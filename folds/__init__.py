"""Folds that keep patients together and spread masks of every size evenly, and their audit."""

from goldfold.lazy_imports import lazy_exports

__all__ = [
    "AuditReport",
    "Finding",
    "Fold",
    "FoldView",
    "MissingGroupWarning",
    "area_strata",
    "audit_folds",
    "build_fold_table",
    "build_folds",
    "content_hashes",
    "fold_summary",
    "read_fold_table",
    "read_folds",
    "split_groups",
    "write_folds",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "AuditReport": "audit",
        "Finding": "audit",
        "Fold": "fold_view",
        "FoldView": "fold_view",
        "MissingGroupWarning": "frame",
        "area_strata": "strata",
        "audit_folds": "audit",
        "build_fold_table": "build",
        "build_folds": "frame",
        "content_hashes": "pixel_hash",
        "fold_summary": "table",
        "read_fold_table": "table",
        "read_folds": "table",
        "split_groups": "split",
        "write_folds": "table",
    },
)
