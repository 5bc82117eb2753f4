#!/bin/sh
# Runs a command of crackexp: docker/run.sh train +experiment=mobilenet
set -eu

if [ $# -eq 0 ]; then
  set -- train --help
fi
command=$1
shift
exec python -m "crackexp.$command" "$@"
