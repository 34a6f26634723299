"""From Radar to Forecast: motion, baselines and MIM."""
