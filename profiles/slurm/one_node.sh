#!/usr/bin/env bash
# The whole night in one allocation of one node:
#     sbatch --account A --partition P --cpus-per-task 32 --mem 64G --time 8:00:00 \
#         CHECKOUT/profiles/slurm/one_node.sh CHECKOUT --directory WORK --config frames=FOLDER
# The python that has Snakemake must be in the PATH. After a time limit submit the same again: it goes on
# where it stopped.
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --signal=B:INT@120
#SBATCH --no-requeue
set -euo pipefail
checkout=$1
shift

# An earlier allocation that was killed has left its lock. Nothing else may work in this folder now.
snakemake --snakefile "$checkout/Snakefile" "$@" --unlock --quiet all || true

# Two minutes before the end Slurm tells this script to stop, and Snakemake in turn: no frame is begun
# any more, those under way are finished.
snakemake --snakefile "$checkout/Snakefile" --cores "$SLURM_CPUS_ON_NODE" \
    --resources "mem_mb=${SLURM_MEM_PER_NODE:-1000000}" "$@" &
trap 'kill -TERM $!' INT TERM
wait $! || wait $!
