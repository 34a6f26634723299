"""Data sets as sequences of frames: map-style, each item one sequence without a batch."""
