"""Predictions out of fold and on the test set, kept as 8-bit maps at original size."""

from goldfold.lazy import lazy_exports

__all__ = [
    "VIEWS",
    "MapReader",
    "MapWriter",
    "get_views",
    "maps_path",
    "predict_maps",
    "view_probability",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "VIEWS": "views",
        "MapReader": "reader",
        "MapWriter": "store",
        "get_views": "views",
        "maps_path": "store",
        "predict_maps": "predict",
        "view_probability": "views",
    },
)
