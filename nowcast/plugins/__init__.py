"""What other programs find of ours by themselves."""
