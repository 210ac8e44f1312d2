"""The migrations, named by number and purpose."""
