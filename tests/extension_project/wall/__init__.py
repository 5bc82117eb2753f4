"""Parts of a project that uses crackexp."""
