"""A logged model fitted to the labelled patches of a new site."""
