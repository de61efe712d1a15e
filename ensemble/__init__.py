"""Blend members, choose the thresholds on out-of-fold predictions, and score them honestly."""

from goldfold.lazy import lazy_exports

__all__ = [
    "ALL_EMPTY",
    "Assessment",
    "Blend",
    "ImageModel",
    "ImagePrediction",
    "Interval",
    "Member",
    "Rule",
    "RuleSearch",
    "apply_rule",
    "assess",
    "blend_histograms",
    "blend_maps",
    "build_report",
    "cross_fit",
    "group_interval",
    "open_member",
    "read_model",
    "read_rule",
    "rule_scores",
    "search_rule",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "ALL_EMPTY": "threshold",
        "Assessment": "honest",
        "Blend": "blend",
        "ImageModel": "image_model",
        "ImagePrediction": "image_model",
        "Interval": "honest",
        "Member": "blend",
        "Rule": "threshold",
        "RuleSearch": "threshold",
        "apply_rule": "threshold",
        "assess": "honest",
        "blend_histograms": "blend",
        "blend_maps": "blend",
        "build_report": "report",
        "cross_fit": "honest",
        "group_interval": "honest",
        "open_member": "blend",
        "read_model": "image_model",
        "read_rule": "report",
        "rule_scores": "threshold",
        "search_rule": "threshold",
    },
)
