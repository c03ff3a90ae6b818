"""`python -m soundit_geo.cli`."""

from soundit_geo.cli import main

main()
