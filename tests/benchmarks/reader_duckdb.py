"""One metric of all runs by DuckDB, from the same files: ``python reader_duckdb.py LOGS`` prints a line of JSON."""

import json
import sys
import time

import duckdb

QUERY = """
select filename, list(loss) from read_json(
    '{logs}/*/metrics/train.json', format='newline_delimited', columns={{loss: 'DOUBLE'}}, filename=true
) group by filename
"""

connection = duckdb.connect()
connection.execute("select 1").fetchall()
started, wall = time.process_time(), time.perf_counter()
connection.execute(QUERY.format(logs=sys.argv[1])).fetchnumpy()
print(json.dumps({"cpu": time.process_time() - started, "wall": time.perf_counter() - wall}))
