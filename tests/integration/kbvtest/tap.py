# SPDX-License-Identifier: BSD-3-Clause
"""One line a test: `ok NAME` or `not ok NAME`, with what went wrong below it."""

import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor


class Suite:
    """Tests are functions that raise AssertionError, with a text that says what was wrong."""

    def __init__(self, area):
        self.area = area
        self.passed = self.failed = 0
        self._lock = threading.Lock()

    def test(self, name, function, *arguments):
        """Runs one test and prints its line."""
        try:
            function(*arguments)
            problem = None
        except AssertionError as error:
            problem = str(error) or traceback.format_exc()
        except Exception:  # a test that could not be carried out has failed
            problem = traceback.format_exc()
        with self._lock:
            self.passed += problem is None
            self.failed += problem is not None
            lines = [f"{'ok' if problem is None else 'not ok'} {self.area}: {name}"]
            lines += [f"#   {line}" for line in (problem or "").splitlines()]
            print("\n".join(lines), flush=True)

    def tests(self, rows, workers=1):
        """Runs (name, function, argument…) rows, several at a time."""
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda row: self.test(*row), rows))

    def finish(self):
        """Ends the process: 0 if there were tests and all passed."""
        sys.exit(0 if self.passed and not self.failed else 1)


def same(what, found, expected):
    assert found == expected, f"{what}: found {found!r}, expected {expected!r}"


def within(what, found, low, high):
    assert low <= found <= high, f"{what}: found {found}, expected {low} to {high}"
