"""Kind `sql`: tables and views of SQLite and PostgreSQL databases."""

from service.connectors.sql.connector import SqlConnector

__all__ = ["SqlConnector"]
