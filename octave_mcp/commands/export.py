"""The command `export`: the workspace's personas as Markdown, CSV or JSON."""

import argparse

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""


def run(options: argparse.Namespace) -> int:
    """Write the personas. Return the exit code."""
    raise NotImplementedError
