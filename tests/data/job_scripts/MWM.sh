#!/bin/bash
#MSUB -N logs-7
#MSUB -e /home/me/project/logs/7/log.stderr
#MSUB -o /home/me/project/logs/7/log.stdout
#MSUB -S /bin/bash
#MSUB -l walltime=6:00:00

cd /home/me/project || exit 1
export MLXP_RUN_DIRECTORY=/home/me/project/logs/7
export GREETING="hello  world"  # spaces stay
python main.py model.num_units=200 seed=1
