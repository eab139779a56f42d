"""Kind `tryton`: the models of a Tryton server, over its JSON-RPC."""

from service.connectors.tryton.connector import TrytonConnector

__all__ = ["TrytonConnector"]
