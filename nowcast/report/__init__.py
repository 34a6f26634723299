"""Verification pages: all that is known of how good forecasts were, as HTML with pictures."""
