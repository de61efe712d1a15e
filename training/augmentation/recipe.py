"""Levels of augmentation and their numbers, which settings need too: goldfold.augmentation_levels."""

from goldfold.augmentation_levels import RECIPES, Recipe, get_recipe

__all__ = ["RECIPES", "Recipe", "get_recipe"]
