"""Shows what the proofs are worth: breaks the ledger on purpose, one way at a time, and sees whether they notice.

    python tests/proofs/mutations.py [WORDS …]      (make mutants)

Each mutant of mutants.toml is a replacement in one file, made in a copy of the tree. The state machine runs first, with
a fixed seed and without shrinking, then the other proofs. The table says which test caught it and by what; exit code 1
when one survived. WORDS choose mutants by their names. It takes some minutes and is no part of ``make test``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

FIRST = "tests/proofs/test_states.py"
OTHERS = ("tests/proofs/test_dropped_replies.py", "tests/proofs/test_rollback.py", "tests/proofs/test_bad_ids.py")
_SEED = "20261122"


@dataclass(frozen=True)
class Mutant:
    """A deliberate breakage: ``old`` becomes ``new`` in ``file``, where it must stand exactly once."""

    name: str
    file: str
    old: str
    new: str


MUTANTS = Path(__file__).with_name("mutants.toml")


def main(words: list[str]) -> int:
    """Run the mutants and print the table; the number that survived decides the exit code."""
    known = [Mutant(**one) for one in tomllib.loads(MUTANTS.read_text(encoding="utf-8"))["mutant"]]
    chosen = [one for one in known if not words or any(word in one.name for word in words)]
    here = Path(__file__).resolve().parents[2]
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="phiq-mutants-") as folder:
        tree = Path(folder)
        _copy(here, tree)
        sound = _run(tree, (FIRST, *OTHERS))
        if sound:
            print(f"The proofs fail without a mutant, so nothing can be said: {sound}")
            return 1
        for mutant in chosen:
            began = time.monotonic()
            with _broken(tree, mutant):
                caught = _run(tree, (FIRST,)) or _run(tree, OTHERS)
            survivors += not caught
            print(f"{mutant.name:48} {caught or 'SURVIVED':.150}  ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"mutants: {len(chosen)}, caught {len(chosen) - survivors}, survived {survivors}")
    return 1 if survivors else 0


class _broken:
    """The tree with a mutant in it."""

    def __init__(self, tree: Path, mutant: Mutant) -> None:
        self._path = tree / mutant.file
        self._text = self._path.read_text(encoding="utf-8")
        if self._text.count(mutant.old) != 1:
            raise SystemExit(
                f"'{mutant.name}': {mutant.file} holds this {self._text.count(mutant.old)} times: {mutant.old}"
            )
        self._mutated = self._text.replace(mutant.old, mutant.new)

    def __enter__(self) -> None:
        self._path.write_text(self._mutated, encoding="utf-8")

    def __exit__(self, *_: object) -> None:
        self._path.write_text(self._text, encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=source, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)


def _run(tree: Path, tests: tuple[str, ...]) -> str:
    """Empty when the tests pass, else the one that failed first and why."""
    present = [test for test in tests if (tree / test).exists()]
    if not present:
        return ""
    done = subprocess.run(
        [
            *(sys.executable, "-B", "-m", "pytest", *present, "-x", "-q", "-p", "no:cacheprovider", "--tb=short"),
            *("--hypothesis-seed", _SEED, "--hypothesis-profile", "mutants", "--timeout", "300"),
        ],
        cwd=tree,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(tree), "HOME": str(tree)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    if done.returncode == 0:
        return ""
    failed = re.search(r"^(?:FAILED|ERROR) \S*/(\S+)", done.stdout, re.MULTILINE)
    reasons = re.findall(r"^[\s|]*E? *(\w*(?:Error|Exception|Failed|LeaseLost)\b.*)$", done.stdout, re.MULTILINE)
    reason = next((line for line in reasons if not line.startswith(("ExceptionGroup", "FAILED"))), "")
    return f"{failed[1] if failed else f'exit code {done.returncode}'}: {reason}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
