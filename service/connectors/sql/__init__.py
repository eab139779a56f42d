"""Kind `sql`: tables and views of SQLite, PostgreSQL and MariaDB databases."""

from service.connectors.sql.connector import SqlConnector

__all__ = ["SqlConnector"]
