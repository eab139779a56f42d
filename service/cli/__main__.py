"""`python -m service.cli` is the command `accord`."""

from service.cli import main

main(prog_name="accord")
