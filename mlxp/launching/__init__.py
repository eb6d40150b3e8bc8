"""From a command line to runs: all that knows Hydra lives here."""
