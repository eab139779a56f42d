"""Kinds that speak OData v4: `odata` for any service, `dataverse` and `businessCentral` for Microsoft's."""

from service.connectors.odata.business_central import BusinessCentralConnector
from service.connectors.odata.connector import ODataConnector
from service.connectors.odata.dataverse import DataverseConnector

__all__ = ["BusinessCentralConnector", "DataverseConnector", "ODataConnector"]
