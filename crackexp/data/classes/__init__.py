"""The classes of a dataset: which of them are damage, as far as their names tell."""
