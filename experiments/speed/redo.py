"""Makes the peers and runs the whole study: python experiments/speed/redo.py PATCHES [--rounds N]

PATCHES holds a folder for each class. Prints the Markdown tables, each below the name of its script.
"""

import argparse
import subprocess
import sys

import peers
from common import HERE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patches")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    for requirements in peers.PEERS.values():
        peers.make(requirements)
    rounds = ["--rounds", str(args.rounds)]
    studies = {
        "whole.py": [args.patches, *rounds],
        "forward.py": rounds,
        "parts.py": ["dataset=folder", f"dataset.path={args.patches}"],
        "growth.py": [],
        "cells.py": [args.patches],
    }
    for script, words in studies.items():
        print(f"\n## {script}\n", flush=True)
        subprocess.run([sys.executable, str(HERE / script), *words], check=True)


if __name__ == "__main__":
    main()
