"""Radar nowcasting: raw radar files in, MIM forecasts of the echoes out, with maps and scores."""
