"""Leaves of the package: what any room may use, and what uses no room."""
