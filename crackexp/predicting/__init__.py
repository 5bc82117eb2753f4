"""What a logged model says of files that have no labels: the files that are named, predictions, explanations."""
