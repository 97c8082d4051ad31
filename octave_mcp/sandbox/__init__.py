"""An Octave-compatible API on made-up data: no key that matters, no network, nothing paid for."""

from octave_mcp.sandbox.app import Failure, build_sandbox

__all__ = ["Failure", "build_sandbox"]
