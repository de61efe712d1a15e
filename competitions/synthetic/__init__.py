"""Synthetic competitions: generated from a seed, in the file formats of real ones."""

from goldfold.lazy_imports import lazy_exports

__all__ = [
    "ClassReport",
    "LungReport",
    "MaskReport",
    "SyntheticReport",
    "draw_contact_sheet",
    "synthesize",
    "synthesize_abdomen",
    "synthesize_endoscopy",
    "synthesize_hemorrhage",
    "synthesize_lungs",
    "synthesize_pneumonia",
    "synthesize_retinopathy",
    "synthesize_salt",
    "synthesize_ships",
    "synthesize_steel",
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
        "synthesize_retinopathy": "retinopathy",
        "MaskReport": "mask_release",
        "synthesize_abdomen": "abdomen_release",
        "synthesize_endoscopy": "endoscopy_release",
        "synthesize_salt": "salt_release",
        "synthesize_ships": "sea_release",
        "synthesize_steel": "steel_release",
        "SyntheticReport": "siim_competition",
        "synthesize_lungs": "lung_release",
        "synthesize": "siim_competition",
        "synthetic_example": "phantom",
        "draw_contact_sheet": "contact_sheet",
        "write_contact_sheet": "contact_sheet",
    },
)
