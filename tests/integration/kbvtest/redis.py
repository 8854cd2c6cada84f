# SPDX-License-Identifier: BSD-3-Clause
"""A Redis to stand behind cachedb."""

import shutil
import subprocess
import time
from pathlib import Path

PORT = 6379


class Redis:
    """A Redis of this test's own, without files."""

    def __init__(self, described):
        self.log = Path(described["dir"]) / "redis.log"
        self.process = None

    def __enter__(self):
        program = shutil.which("redis-server")
        assert program, "no redis-server"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [program, "--port", str(PORT), "--bind", "127.0.0.1", "--save", "",
                 "--appendonly", "no", "--daemonize", "no"], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, cwd=self.log.parent)
        deadline = time.monotonic() + 10
        while self.cli("ping") != "PONG":
            assert time.monotonic() < deadline, f"Redis does not start: {self.log.read_text()}"
            time.sleep(0.05)
        return self

    def cli(self, *words):
        return subprocess.run(["redis-cli", "-p", str(PORT), *words], capture_output=True,
                              text=True, check=False).stdout.strip()

    def stop(self):
        self.process.kill()
        self.process.wait()

    def __exit__(self, *_):
        self.stop()
