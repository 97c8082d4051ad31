"""An Octave-compatible API on made-up data: no key that matters, no network, nothing paid for."""

from octave_mcp.sandbox.app import build_sandbox
from octave_mcp.sandbox.state import Failure

__all__ = ["Failure", "build_sandbox"]
