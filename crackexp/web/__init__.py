"""The pages of crackexp.app and crackexp.review: what is served, whom it is guarded from, and what is drawn."""
