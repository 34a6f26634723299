"""From archives to weights: episodes, crops in Lagrangian coordinates, the objective."""
