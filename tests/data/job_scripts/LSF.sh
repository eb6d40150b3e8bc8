#!/bin/bash
#BSUB -J logs/7
#BSUB -e /home/me/project/logs/7/log.stderr
#BSUB -o /home/me/project/logs/7/log.stdout
#BSUB -W 6:00

cd /home/me/project || exit 1
export MLXP_RUN_DIRECTORY=/home/me/project/logs/7
export GREETING="hello  world"  # spaces stay
python main.py model.num_units=200 seed=1
