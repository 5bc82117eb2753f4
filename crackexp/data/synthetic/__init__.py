"""Generates photos of concrete patches, with and without cracks, from a seed."""

from crackexp.data.synthetic.patches import DEFAULT_SIZE, draw_dataset, draw_patch

__all__ = ["DEFAULT_SIZE", "draw_dataset", "draw_patch"]
