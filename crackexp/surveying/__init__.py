"""Surveys of whole photos: tiles, heat maps, regions, and the report."""
