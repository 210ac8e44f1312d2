"""``python -m groundspeed`` is the ``groundspeed`` command."""

from groundspeed.deploy.cli import main

if __name__ == "__main__":
    main()
