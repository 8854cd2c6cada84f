# SPDX-License-Identifier: BSD-3-Clause
"""The built Unbound in the world, which must also end well."""

import re
import subprocess

from kbvworld import resolver

from . import programs

# What sanitizers and Unbound's own checks say when something is wrong with the program.
_FAULTS = re.compile(r".*(?:runtime error:|AddressSanitizer|LeakSanitizer|fatal error:|"
                     r"internal error|assertion).*", re.I)


# For tests of something else than time: a busy machine is not a dead authority.
PATIENT = ["server:", "    discard-timeout: 5000"]


class Resolver(resolver.Resolver):
    """As kbvworld's, with the built Unbound. A block that went well fails at its end if the daemon
    did not end in good order, or if it complained of itself."""

    def __init__(self, described, name="resolver", extra=()):
        super().__init__(described, programs.UNBOUND, name, extra=extra)
        for file in ("unbound.log", "stderr"):  # of the one before
            (self.folder / file).unlink(missing_ok=True)

    def control(self, *words, lines=None):
        """Exit status and output of unbound-control. lines: what it reads from standard input."""
        done = subprocess.run([str(programs.CONTROL), "-c", str(self.conf), *words], check=False,
                              capture_output=True, text=True,
                              input=None if lines is None else "".join(f"{line}\n" for line in lines))
        return done.returncode, (done.stdout + done.stderr).strip()

    def statistics(self, verb="stats_noreset"):
        """What it counted: {name: number}."""
        status, output = self.control(verb)
        assert status == 0, f"unbound-control {verb}: {output}"
        rows = [line.split("=", 1) for line in output.splitlines()]
        return {name: int(value) if value.isdigit() else float(value) for name, value in rows}

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
