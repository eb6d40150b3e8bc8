#!/bin/bash
#OAR -n logs/7
#OAR -E /home/me/project/logs/7/log.stderr
#OAR -O /home/me/project/logs/7/log.stdout
#OAR -l core=1,walltime=6:00:00
#OAR -t besteffort
#OAR -t idempotent

cd /home/me/project || exit 1
export MLXP_RUN_DIRECTORY=/home/me/project/logs/7
export GREETING="hello  world"  # spaces stay
python main.py model.num_units=200 seed=1
