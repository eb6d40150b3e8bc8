"""No program of MLXP: it notes that it ran."""

import sys

with open("prepared", "a", encoding="utf-8") as file:
    file.write("once\n")
print(*sys.argv[1:] or ["7"])
