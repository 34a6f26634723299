"""The TOML profiles that ship, and the code that reads them."""
