"""What a run is: its tables, its stages and its jobs. Nothing here knows of a terminal."""

from goldfold.lazy_imports import lazy_exports

__all__ = [
    "FoldTraining",
    "Job",
    "OpenRun",
    "Run",
    "Stage",
    "average_all",
    "choose_trainings",
    "compare_blends",
    "compare_files",
    "compare_views",
    "ensure_ensemble",
    "ensure_folds",
    "ensure_images",
    "ensure_submission",
    "model_of_run",
    "open_model",
    "predict_all",
    "select_runs",
    "train_jobs",
    "write_model",
    "write_pseudo_labels",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "FoldTraining": "fold_trainings",
        "Job": "job",
        "OpenRun": "open_run",
        "Run": "run",
        "Stage": "stages",
        "average_all": "average_stage",
        "choose_trainings": "fold_trainings",
        "compare_blends": "blend_stage",
        "compare_files": "comparison",
        "compare_views": "views_stage",
        "ensure_ensemble": "ensemble_stage",
        "ensure_folds": "folds_stage",
        "ensure_images": "images_stage",
        "ensure_submission": "submission_stage",
        "model_of_run": "exported_model",
        "open_model": "image_models",
        "predict_all": "prediction_stage",
        "select_runs": "selection",
        "train_jobs": "training_stage",
        "write_model": "exported_files",
        "write_pseudo_labels": "pseudo_label_stage",
    },
)
