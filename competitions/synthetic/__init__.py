"""The synthetic competition: chest phantoms in SIIM's file formats, made from a seed."""

from goldfold.lazy import lazy_exports

__all__ = [
    "ClassReport",
    "LungReport",
    "SyntheticReport",
    "draw_contact_sheet",
    "synthesize",
    "synthesize_hemorrhage",
    "synthesize_lungs",
    "synthesize_pneumonia",
    "synthetic_example",
    "write_contact_sheet",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "ClassReport": "class_report",
        "LungReport": "lung_release",
        "synthesize_hemorrhage": "hemorrhage",
        "synthesize_pneumonia": "pneumonia",
        "SyntheticReport": "competition",
        "synthesize_lungs": "lung_release",
        "synthesize": "competition",
        "synthetic_example": "phantom",
        "draw_contact_sheet": "contact_sheet",
        "write_contact_sheet": "contact_sheet",
    },
)
