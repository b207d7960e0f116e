#!/bin/sh
#SBATCH --job-name=heat
#SBATCH --time=00:05:00
# How heat spreads in a copper plate. Compiled where the site has a C compiler, in Python where
# it has none: the same model, on a coarser grid.
set -e
if command -v cc >/dev/null 2>&1 && cc -O2 -o heat heat.c -lm; then
    echo "Compiled heat.c on $(hostname) with $(command -v cc)"
    ./heat plate.txt 0.25
    rm heat
else
    echo "No working C compiler on $(hostname): heat.py instead, with $(command -v python3)"
    python3 heat.py plate.txt 1
fi
