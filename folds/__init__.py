"""Folds that keep patients whole and masks of every size evenly spread, and their audit."""

from goldfold.lazy import lazy_exports

__all__ = [
    "AuditReport",
    "Finding",
    "Fold",
    "FoldView",
    "area_strata",
    "audit_folds",
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
        "area_strata": "strata",
        "audit_folds": "audit",
        "build_folds": "build",
        "content_hashes": "content",
        "fold_summary": "table",
        "read_fold_table": "table",
        "read_folds": "table",
        "split_groups": "split",
        "write_folds": "table",
    },
)
