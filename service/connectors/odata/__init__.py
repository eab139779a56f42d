"""Kind `odata`: the entity sets of OData v4 services, and the dialects of those that have a kind of their own."""

from service.connectors.odata.connector import ODataConnector

__all__ = ["ODataConnector"]
