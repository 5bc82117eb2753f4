"""What is wrong with a dataset: copies, contradictions, wrong labels, strangers, files that cannot be read."""
