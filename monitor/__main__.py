"""`python -m monitor` is the command line."""

from monitor.cli import main

main()
