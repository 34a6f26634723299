"""What a field is: errors, units, grid, schema and scaling."""
