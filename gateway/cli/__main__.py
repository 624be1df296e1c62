"""``python -m gateway.cli`` is ``phiq``."""

from gateway.cli import main

main()
