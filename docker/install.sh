#!/bin/sh
# Installs crackexp from the checkout that holds this file into a new virtual environment, and makes folders for its files
# that any user may write to. The Dockerfile runs it, and so does a test where no Docker is.
#   docker/install.sh ENVIRONMENT FOLDER...
set -eu

environment=$1
shift
source=$(cd "$(dirname "$0")/.." && pwd)

"${PYTHON:-python3}" -m venv "$environment"
"$environment/bin/python" -m pip install --quiet --use-pep517 --constraint "$source/constraints.txt" "$source[app,engines,export,search]"
mkdir -p "$@"
chmod 1777 "$@"
