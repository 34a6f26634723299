"""What pysteps finds when it looks for plugins, which it does while it is imported.

pysteps 1.21 looks for importers by entry point, and for nowcast methods not at all. So when it asks
this module for the importer, MIM joins its nowcast methods too. Importing the module does nothing,
and it loads nothing: pysteps must start as fast as before.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def __getattr__(name: str) -> Callable[..., Any]:
    """``import_nowcast``, as the entry point in the group ``pysteps.plugins.importers`` asks."""
    if name != "import_nowcast":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from nowcast.plugins.pysteps_importer import import_nowcast  # noqa: PLC0415 - late

    join_nowcast_methods()
    return import_nowcast


def join_nowcast_methods() -> None:
    """``pysteps.nowcasts.get_method("mim")`` is MIM from now on, where pysteps is loaded.

    A method of that name that pysteps itself may bring one day is left alone.
    """
    interface = sys.modules.get("pysteps.nowcasts.interface")
    methods = getattr(interface, "_nowcast_methods", None)
    if isinstance(methods, dict):
        methods.setdefault("mim", forecast)


def forecast(*arguments: Any, **settings: Any) -> Any:
    """MIM's nowcast: see ``nowcast.plugins.pysteps_nowcast.forecast``."""
    from nowcast.plugins import pysteps_nowcast  # noqa: PLC0415 - late: it loads torch

    return pysteps_nowcast.forecast(*arguments, **settings)
