"""Who proposes trials: one family a file."""
