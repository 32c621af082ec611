"""`python -m healerd` is `healerd`. Must never do more than that."""

from healerd.cli import main

main()
