"""Accord's own database: Peewee models, their migrations, and one file of queries per noun."""
