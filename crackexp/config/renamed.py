"""Classes that were renamed: configs that name them by their old names keep working for one version."""

RENAMED = {
    "crackexp.models.heads.CellHead": "crackexp.models.heads.MultipleInstanceHead",
}
"""The new dotted name of a class by its old one."""
