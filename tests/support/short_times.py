"""Short times in place of the package's own, for tests that cannot wait for a lease or a settlement."""

import sys
from collections.abc import Callable


def shorten(set_: Callable[[object, str, object], None] = setattr, /, **constants: float | tuple[float, ...]) -> None:
    """Set these constants in each imported module of the package that has them."""
    modules = [module for name, module in sys.modules.items() if name.startswith("octave_mcp.")]
    for name, value in constants.items():
        having = [module for module in modules if hasattr(module, name)]
        assert having, name
        for module in having:
            set_(module, name, value)
