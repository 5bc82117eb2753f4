"""The tiles of whole photos, classified: regions, pictures, tables and the page of a survey."""
