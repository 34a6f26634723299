"""How the service has functions called: in a child process, or in its own where a test says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowcast.service.child import Limits


class Call(Protocol):
    """``child.call``, or what stands in for it."""

    def __call__(self, function: Callable[..., Any], *arguments: Any, limits: Limits) -> Any:
        """The function's result; its NowcastErrors are raised, and ChildError for a bad end."""
        ...


def here(function: Callable[..., Any], *arguments: Any, limits: Limits) -> Any:  # noqa: ARG001
    """Call the function in this process, without limits."""
    return function(*arguments)
