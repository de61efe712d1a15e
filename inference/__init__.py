"""Predictions out of fold and on the test set, kept as 8-bit maps at original size."""

from goldfold.lazy_imports import lazy_exports

__all__ = [
    "NAMED_VIEWS",
    "MapReader",
    "MapWriter",
    "Merger",
    "Predictor",
    "TiledNetwork",
    "View",
    "get_views",
    "maps_path",
    "predict_maps",
    "start_engine",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "NAMED_VIEWS": "views",
        "MapReader": "reader",
        "MapWriter": "store",
        "Merger": "merge",
        "Predictor": "predictor",
        "TiledNetwork": "tiles",
        "View": "views",
        "get_views": "views",
        "maps_path": "store",
        "predict_maps": "predict",
        "start_engine": "engine",
    },
)
