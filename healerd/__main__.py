"""`python -m healerd` is `healerd`. Must never do more than that, and nothing when it is merely imported."""

from healerd.cli import main

if __name__ == "__main__":
    main()
