"""Makes the tiny random-weight model that the tests of the OpenVINO engine run on.

Run it only to remake it; it needs what make_tiny_phi3.py needs and optimum-intel, the tests only openvino-genai:

    python tests/assets/make_tiny_openvino.py tests/assets

``tiny-phi3-ov`` is that script's ``tiny-phi3`` exported for OpenVINO with 16-bit weights. Its tokenizer also learned
JSON: grammars that ask for a quotation mark need a piece for it, as every real tokenizer has.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import make_tiny_phi3 as phi3

JSON = '{"answer": "yes", "number": 12, "list": [1, 2, 3], "nothing": null, "true": false}'


def build(target: Path) -> None:
    """Make the folder, replacing what is there."""
    phi3.OTHER = (*phi3.OTHER, JSON)
    with tempfile.TemporaryDirectory() as work:
        source, out = Path(work, "hf"), Path(work, "openvino")
        source.mkdir()
        phi3.make_weights(source, longrope=False)
        command = [
            *(str(Path(sys.executable).with_name("optimum-cli")), "export", "openvino", "-m", str(source)),
            *("--task", "text-generation-with-past", "--weight-format", "fp16", str(out)),
        ]
        subprocess.run(command, check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(out, target)


if __name__ == "__main__":
    build(Path(sys.argv[1]) / "tiny-phi3-ov")
