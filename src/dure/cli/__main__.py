"""`python -m dure.cli`: the command line where its script isn't on the path."""

from dure.cli import main

if __name__ == "__main__":
    main()
