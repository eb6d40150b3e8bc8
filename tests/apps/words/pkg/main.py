"""The program as a module, and in another directory."""

import runpy

runpy.run_module("main", run_name="__main__")
