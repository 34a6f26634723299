"""The tasks of the MIM paper: data, training within a time, scores beside the published ones."""
