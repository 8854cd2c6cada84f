# SPDX-License-Identifier: BSD-3-Clause
"""The built Unbound in the world, which must also end well."""

import re

from kbvworld import resolver

from . import programs

# What sanitizers and Unbound's own checks say when something is wrong with the program.
_FAULTS = re.compile(r".*(?:runtime error:|AddressSanitizer|LeakSanitizer|fatal error:|"
                     r"internal error|assertion).*", re.I)


class Resolver(resolver.Resolver):
    """As kbvworld's, with the built Unbound. A block that went well fails at its end if the daemon
    did not end in good order, or if it complained of itself."""

    def __init__(self, described, name="resolver", extra=()):
        super().__init__(described, programs.UNBOUND, name, extra=extra)
        for file in ("unbound.log", "stderr"):  # of the one before
            (self.folder / file).unlink(missing_ok=True)

    def end(self):
        """Ends it, and looks at how it ended."""
        status = self.stop()
        faults = [match[0] for match in _FAULTS.finditer(self.log())]
        assert not faults, "\n".join(faults[:20])
        assert status == 0, f"Unbound's exit status is {status}: {self.log()[-3000:]}"

    def __exit__(self, kind, *_):
        if kind is None:
            self.end()
        else:
            self.stop()
