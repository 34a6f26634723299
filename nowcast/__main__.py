"""``python -m nowcast``."""

from __future__ import annotations

from nowcast.cli.app import main

if __name__ == "__main__":
    main()
