#!/bin/sh
# Runs one part of the tests and notes how long it took: `sh tests/part.sh NAME COMMAND [ARGUMENT...]`.
# `make test` prints the notes at its end.
set -u
name=$1
shift
began=$(date +%s)
"$@"
status=$?
[ "$status" -eq 0 ] && outcome=passed || outcome="FAILED ($status)"
mkdir -p build
printf '%-14s %5d s  %s\n' "$name" $(($(date +%s) - began)) "$outcome" >>build/parts.txt
exit "$status"
