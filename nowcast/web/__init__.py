"""A look at forecasts in the browser, and products that other programs read."""
