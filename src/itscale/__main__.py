"""`python -m itscale` is the command `itscale`."""

from itscale.cli import app

app()
