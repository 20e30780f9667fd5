"""`python -m app`: hands over to the command line in app/cli.py."""

from app.cli import main

if __name__ == "__main__":
    main(prog_name="python -m app")
