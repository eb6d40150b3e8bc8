"""From a command line to runs: everything that knows Hydra is here."""
