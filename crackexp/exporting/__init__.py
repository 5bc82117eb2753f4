"""What a logged model is exported to: files that other programs read, without crackexp."""
