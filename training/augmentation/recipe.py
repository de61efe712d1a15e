"""Levels of augmentation and their numbers; they live where the settings see them."""

from goldfold.augmentation_levels import RECIPES, Recipe, get_recipe

__all__ = ["RECIPES", "Recipe", "get_recipe"]
