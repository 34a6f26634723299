"""pysteps, imported without its greeting: for a fork server, which imports for all children."""

from __future__ import annotations

from nowcast.forecast.pysteps_quietly import inverse_distances, sparse_flow

LOADED = (sparse_flow(), inverse_distances())
