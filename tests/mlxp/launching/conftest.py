"""A program whose task can be called in this process."""

import importlib.util

import pytest


@pytest.fixture
def wanted(app):
    return app("wanted")


@pytest.fixture
def task(wanted, monkeypatch):
    """The task of the program, in this process."""
    monkeypatch.chdir(wanted.directory)
    spec = importlib.util.spec_from_file_location("wanted_main", wanted.directory / "main.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.train
