"""The page of crackexp.app: photos go in, verdicts and marks come out, and nothing is kept."""
