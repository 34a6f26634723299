"""From Forecast to what people use: files, maps, points."""
