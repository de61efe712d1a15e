"""What a competition is: its files, images, labels, run-length encoding, metric; presets."""

from goldfold.lazy import lazy_exports

_HOMES = {
    "DIALECTS": "rle",
    "DataReport": "report",
    "Dialect": "rle",
    "ImageHeader": "image",
    "METRICS": "metric",
    "Runs": "runs",
    "as_levels": "pixels",
    "as_mask": "pixels",
    "collect_images": "collect",
    "decode": "rle",
    "encode": "rle",
    "get_dialect": "rle",
    "image_scores": "metric",
    "level_histograms": "histogram",
    "load_preset": "preset",
    "load_settings": "preset",
    "preset_names": "preset",
    "read_header": "image",
    "read_image": "image",
    "read_images": "images_table",
    "read_labels": "labels",
    "rle": "",
    "recipe_names": "preset",
    "score_by_level": "histogram",
    "merge_runs": "runs",
    "write_images": "images_table",
}
__all__ = sorted(_HOMES)  # noqa: PLE0605
__getattr__ = lazy_exports(__name__, _HOMES)
