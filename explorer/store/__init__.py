"""The stage store: stage key -> checkpoint."""

from explorer.store.store import Store

__all__ = ["Store"]
