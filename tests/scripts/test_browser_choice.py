"""Which browser `scripts/browser` takes: the one that is there, Debian's for root, npm's for everybody else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "browser"
NEEDED = ("bash", "env", "mkdir", "rm", "chmod", "cat", "tar", "dirname", "ldd", "grep", "cp")

APT = """echo "apt-get $*" >>"$LOG"
if [ "$1" = install ]; then printf '#!/bin/sh\\necho Debian' >"$BIN/chromium"; chmod +x "$BIN/chromium"; fi"""
NPM = """echo "npm $*" >>"$LOG"; packed="$3/node_modules/@sparticuz/chromium/bin"; mkdir -p "$packed"
for part in chromium al2023.tar swiftshader.tar; do cp "$PARTS/$part" "$packed/$part.br"; done"""
NODE = 'cp "$3" "$4"'


class Machine:
    """A machine on which there is only what a test puts there; every command that would change it is written down."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin, self.log = folder, folder / "bin", folder / "log"
        self.bin.mkdir()
        self.log.touch()
        for name in NEEDED:
            found = shutil.which(name)
            assert found is not None
            (self.bin / name).symlink_to(found)
        parts = folder / "parts"
        (parts / "lib").mkdir(parents=True)
        (parts / "chromium").write_text("#!/bin/sh\necho npm: $*\n")
        for name in ("al2023", "swiftshader"):
            subprocess.run(["tar", "-C", parts, "-cf", parts / f"{name}.tar", "lib"], check=True)

    def has(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!{self.bin}/bash\n{script}\n")
        path.chmod(0o755)

    def ask(self) -> subprocess.CompletedProcess[str]:
        told = {"BIN": self.bin, "LOG": self.log, "PARTS": self.folder / "parts", "HOME": self.folder}
        environ = {"PATH": str(self.bin), **{name: str(value) for name, value in told.items()}}
        return subprocess.run([self.bin / "bash", SCRIPT], env=environ, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.has("id", "echo 1000")
    return made


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_the_one_that_is_there(machine: Machine, name: str) -> None:
    machine.has(name, "")
    machine.has("npm", NPM)
    assert machine.ask().stdout.strip() == str(machine.bin / name)
    assert machine.log.read_text() == ""


def test_debians_for_root(machine: Machine) -> None:
    machine.has("id", "echo 0")
    machine.has("apt-get", APT)
    machine.has("npm", NPM)
    assert machine.ask().stdout.strip() == str(machine.bin / "chromium")
    assert "apt-get install --yes --quiet --no-install-recommends chromium" in machine.log.read_text()
    assert "npm" not in machine.log.read_text()


def test_npms_for_everybody_else_and_only_once(machine: Machine) -> None:
    machine.has("apt-get", APT)
    machine.has("npm", NPM)
    machine.has("node", NODE)
    first = machine.ask()
    assert first.returncode == 0, first.stderr
    found = Path(first.stdout.strip())
    assert found.is_relative_to(machine.folder / ".cache" / "accord")
    assert os.access(found, os.X_OK)
    asked = machine.log.read_text()
    assert "@sparticuz/chromium@" in asked
    assert "--ignore-scripts" in asked
    assert "apt-get" not in asked
    environ = {"PATH": str(machine.bin)}
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True, env=environ)
    assert said.stdout == "npm: --version\n"
    assert machine.ask().stdout == first.stdout
    assert machine.log.read_text() == asked


def test_where_there_is_no_way_it_says_which_there_are(machine: Machine) -> None:
    refused = machine.ask()
    assert refused.returncode == 1
    assert "Debian's package chromium" in refused.stderr
    assert "npm" in refused.stderr
