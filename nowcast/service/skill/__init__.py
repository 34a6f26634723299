"""The closed loop: every forecast scored when its truth comes, beside its rivals."""
