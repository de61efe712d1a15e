"""Competitions: their files, images, labels, run-length encodings and metrics; presets."""

from goldfold.lazy_imports import lazy_exports

_HOMES = {
    "DIALECTS": "rle",
    "DataReport": "data_report",
    "Dialect": "rle",
    "ImageHeader": "image",
    "METRICS": "metric",
    "Runs": "pixel_runs",
    "as_levels": "pixels",
    "as_mask": "pixels",
    "collect_images": "image_collection",
    "decode": "rle",
    "encode": "rle",
    "get_dialect": "rle",
    "image_scores": "metric",
    "level_histograms": "histogram",
    "load_preset": "preset",
    "load_settings": "preset",
    "merge_runs": "pixel_runs",
    "preset_names": "preset",
    "read_header": "image",
    "read_image": "image",
    "read_images": "images_table",
    "read_labels": "rle_labels",
    "rle": "",
    "recipe_names": "preset",
    "score_by_level": "histogram",
    "write_images": "images_table",
}
__all__ = sorted(_HOMES)  # noqa: PLE0605
__getattr__ = lazy_exports(__name__, _HOMES)
