"""Sweeps split ratio, image size and dropout on a dataset, and prints the comparison."""

import subprocess
import sys

SWEEP = ["-m", "crackexp.train", "-m", "+experiment=mobilenet", "+sweep=ratio_size_dropout"]


def main() -> None:
    """Runs the study; further words choose the dataset, such as ``dataset=mendeley``."""
    sys.exit(subprocess.run([sys.executable, *SWEEP, *sys.argv[1:]], check=False).returncode)


if __name__ == "__main__":
    main()
