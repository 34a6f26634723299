"""From servers of weather services to a folder of radar files."""
