"""The rolling service: watches a feed, forecasts, publishes, verifies, and goes on."""
