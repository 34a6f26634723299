"""A registry of radar sites, gauges and places; standard library only."""
