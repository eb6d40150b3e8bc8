"""Resolves the references in a configuration that somebody else has written, without calling any resolver.

What a resolver returns today, such as ``${now:%H}`` or ``${oc.env:USER}``, is not what it returned to the run.
"""

import re
from typing import Any

_RESOLVER = re.compile(r"(?<!\\)\$\{(?=\s*[\w.]+\s*:)")


def without_references(content: dict[Any, Any]) -> dict[Any, Any]:
    """Return a configuration with ``${key}`` replaced by the value of that key; calls of resolvers stay as they are.

    A reference that leads nowhere stays, too.

    Examples
    --------
    >>> without_references({"seed": 3, "name": "run-${seed}", "user": "${oc.env:USER}", "lost": "${nowhere}"})
    {'seed': 3, 'name': 'run-3', 'user': '${oc.env:USER}', 'lost': '${nowhere}'}
    """
    if "${" not in repr(content):
        return content
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        config = OmegaConf.create(_escaped(content))
    except (OmegaConfBaseException, ValueError):  # a text that OmegaConf does not understand
        return content
    return {key: _resolved(config, key, content[key]) for key in content}


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return _RESOLVER.sub(r"\\${", value) if isinstance(value, str) else value


def _resolved(config: Any, key: Any, written: Any) -> Any:
    """Return the value at a key of a container of OmegaConf; what was written there if it cannot be resolved."""
    from omegaconf import DictConfig, ListConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        value = config[key]
        if isinstance(written, dict) and isinstance(value, DictConfig):
            return {inner: _resolved(value, inner, written[inner]) for inner in written}
        if isinstance(written, list) and isinstance(value, ListConfig):
            return [_resolved(value, index, item) for index, item in enumerate(written)]
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    except (OmegaConfBaseException, RecursionError):
        return written
