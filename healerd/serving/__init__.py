"""The inference gateway: models of the registries over HTTP, each answer recorded. Must never move an alias.

This face stays light: the parts are imported where they are used.
"""

__all__: list[str] = []
