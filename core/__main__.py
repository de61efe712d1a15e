"""`python -m goldfold`."""

from goldfold.commands.app import app

if __name__ == "__main__":
    app()
