"""Masks passwords, tokens and keys in everything that a run records.

Three signs give a secret away: the name of a value (``hf_token``, ``db.password``); its shape, such as the prefix of a
well-known service or the user part of an address; and the value of a secret environment variable, wherever it turns
up. A name alone does not make a secret if its value is a word: ``pooling.token=cls`` stays.
"""

import os
import re
from collections.abc import Mapping
from typing import Any, Final

MASK: Final = "<masked>"
"""The text that replaces a secret."""

_LEAST_LENGTH: Final = 8
"""Shorter values are not searched for elsewhere, since they would be found in harmless text."""

_ALWAYS: Final = {"password", "passwd", "passphrase", "pwd", "secret", "apikey", "authorization", "cookie"}
_UNLESS_A_WORD: Final = {"token", "credentials", "credential", "key", "auth", "session", "pat", "dsn", "bearer"}
_KEYS: Final = {
    "api",
    "access",
    "private",
    "secret",
    "account",
    "storage",
    "signing",
    "encryption",
    "auth",
    "license",
    "ssh",
}
_HARMLESS: Final = {"PWD", "OLDPWD"}

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# Every repetition is bounded: a log line may hold a megabyte.
_SHAPES: Final = re.compile(
    r"""
    \b(?:
        gh[pousr]_[A-Za-z0-9]{20,255} | github_pat_[A-Za-z0-9_]{20,255} | glpat-[A-Za-z0-9_-]{16,255}   # git hosts
      | hf_[A-Za-z0-9]{20,255} | wandb_v1_[A-Za-z0-9_]{20,255} | dckr_pat_[A-Za-z0-9_-]{20,255}
      | sk-[A-Za-z0-9_-]{20,255} | xox[abeprs]-[A-Za-z0-9-]{10,255} | npm_[A-Za-z0-9]{20,255}
      | pypi-[A-Za-z0-9_-]{30,512} | AIza[A-Za-z0-9_-]{30,64} | ya29\.[A-Za-z0-9_-]{20,512}
      | (?:AKIA|ASIA)[A-Z0-9]{16} | SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64}
      | [rsp]k_(?:live|test)_[A-Za-z0-9]{16,255}
      | eyJ[A-Za-z0-9_-]{10,2048}\.eyJ[A-Za-z0-9_-]{10,2048}\.[A-Za-z0-9_-]{10,2048}                # JSON web tokens
    )
  | (?<=://)[^\s/@:]{0,255}:[^\s/@]{1,255}(?=@)                                                     # user:password@
  | (?<=://)[^\s/@:]{20,255}(?=@)                                                                   # token@
  | (?i:(?<=bearer\s)|(?<=basic\s))[A-Za-z0-9._~+/=-]{16,2048}                                      # headers
  | (?<=[?&])(?i:sig|signature|token|access_token|api_key|key)=[^\s&\#"']{8,1024}                   # parts of addresses
  | -----BEGIN\ [A-Z ]{0,40}PRIVATE\ KEY-----[\s\S]{0,8192}?-----END\ [A-Z ]{0,40}PRIVATE\ KEY-----
    """,
    re.VERBOSE,
)

_ASSIGNMENT: Final = re.compile(
    r"""(?<![\w.-])(?P<name>[A-Za-z_][\w.-]{0,127})(?P<sign>["']?\s{0,4}[=:]\s{0,4})(?P<value>"[^"\n]{1,1024}"|'[^'\n]{1,1024}'|[^\s,;&"'\}\])]{1,1024})"""
)


def has_shape_of_secret(text: str) -> bool:
    """Tell whether a text holds something that can only be a secret.

    Examples
    --------
    >>> has_shape_of_secret("git clone https://me:pa55@example.org/x"), has_shape_of_secret("seed: 1")
    (True, False)
    """
    return _SHAPES.search(text) is not None


def is_secret(name: str, value: str) -> bool:
    """Tell whether the value called `name` is a secret.

    Examples
    --------
    >>> is_secret("hf_token", "abcd1234"), is_secret("pooling.token", "cls"), is_secret("db.password", "cat")
    (True, False, True)
    """
    if not value or name in _HARMLESS or "${" in value:
        return False
    words = [word.lower() for word in _WORDS.findall(name.rpartition(".")[2])]
    if not words:
        return False
    if words[-1] in _ALWAYS or _ALWAYS & {"".join(words[-2:])}:
        return True
    if words[-1] not in _UNLESS_A_WORD or (words[-1] == "key" and not _KEYS & set(words[:-1])):
        return False
    return len(value) >= _LEAST_LENGTH and (not value.isalpha() or len(value) >= 2 * _LEAST_LENGTH)


def masked(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return `text` with each secret masked.

    Examples
    --------
    >>> masked("git clone https://me:pa55@example.org/x", {})
    'git clone https://<masked>@example.org/x'
    >>> masked("+hf_token=abcd1234 seed=1", {})
    '+hf_token=<masked> seed=1'
    """
    return _masked(text, _of_environment(environment))


def _masked(text: str, values: list[str]) -> str:
    text = _SHAPES.sub(MASK, text)
    for value in values:
        text = text.replace(value, MASK)
    return _ASSIGNMENT.sub(_masked_assignment, text)


def _of_environment(environment: Mapping[str, str]) -> list[str]:
    found = (value for name, value in environment.items() if len(value) >= _LEAST_LENGTH and is_secret(name, value))
    return sorted(found, key=len, reverse=True)


def _masked_assignment(match: re.Match[str]) -> str:
    name, sign, value = match.group("name", "sign", "value")
    quote = value[0] if value[0] in "\"'" else ""
    return f"{name}{sign}{quote}{MASK}{quote}" if is_secret(name, value.strip("\"'")) else match.group()


def without_secrets(content: Any, environment: Mapping[str, str] = os.environ) -> Any:
    """Return nested dicts and lists with each secret in their texts masked.

    Examples
    --------
    >>> without_secrets({"db": {"user": "me", "password": "cat"}, "seed": 1}, {})
    {'db': {'user': 'me', 'password': '<masked>'}, 'seed': 1}
    """
    return _without(content, _of_environment(environment))


def _without(content: Any, values: list[str]) -> Any:
    if isinstance(content, dict):
        return {
            name: MASK if isinstance(value, str) and is_secret(str(name), value) else _without(value, values)
            for name, value in content.items()
        }
    if isinstance(content, list | tuple):
        return [_without(item, values) for item in content]
    # A secret that is recognised by its shape is longer than that.
    return _masked(content, values) if isinstance(content, str) and len(content) >= _LEAST_LENGTH else content
