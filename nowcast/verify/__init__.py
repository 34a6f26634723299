"""Scores: sums first, ratios last; missing is never dry."""
