#!/bin/bash
#PBS -N logs-7
#PBS -e /home/me/project/logs/7/log.stderr
#PBS -o /home/me/project/logs/7/log.stdout
#PBS -S /bin/bash
#PBS -l walltime=6:00:00

cd /home/me/project || exit 1
export MLXP_RUN_DIRECTORY=/home/me/project/logs/7
export GREETING="hello  world"  # spaces stay
python main.py model.num_units=200 seed=1
