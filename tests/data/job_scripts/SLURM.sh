#!/bin/bash
#SBATCH --job-name=logs/7
#SBATCH --error=/home/me/project/logs/7/log.stderr
#SBATCH --output=/home/me/project/logs/7/log.stdout
#SBATCH --time=6:00:00
#SBATCH	--nice=3

cd /home/me/project || exit 1
export MLXP_RUN_DIRECTORY=/home/me/project/logs/7
export GREETING="hello  world"  # spaces stay
python main.py model.num_units=200 seed=1
