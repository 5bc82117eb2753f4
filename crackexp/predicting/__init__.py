"""The predictions of a logged model for files without labels, and their explanations."""
