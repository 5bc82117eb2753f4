"""Export of a logged model to files that other programs read without crackexp."""
