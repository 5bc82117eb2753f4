"""Audits of datasets, which find copies, contradictions, wrong labels, outliers, and files that cannot be read."""
