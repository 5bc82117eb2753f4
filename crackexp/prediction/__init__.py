"""What a logged model says of files and photos that have no labels."""
