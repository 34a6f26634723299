"""pysteps, imported without its greeting: for a fork server, which imports for all children."""

from __future__ import annotations

from nowcast.forecast.pysteps_quietly import motion_method

LUCAS_KANADE = motion_method("LK")
