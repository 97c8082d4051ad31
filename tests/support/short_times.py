"""Short times in place of the package's own, for tests that cannot wait for a lease or a settlement."""

import sys


def shorten(**constants: float | tuple[float, ...]) -> None:
    """Set these constants in each module of the package that has them. Import what is to be changed before."""
    modules = [module for name, module in sys.modules.items() if name.startswith("octave_mcp.")]
    for name, value in constants.items():
        having = [module for module in modules if hasattr(module, name)]
        assert having, name
        for module in having:
            setattr(module, name, value)
