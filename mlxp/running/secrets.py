"""Masks passwords, tokens and keys in everything that a run records.

Three signs give a secret away: the name of a value (``hf_token``, ``db.password``); its shape, such as the prefix of a
well-known service or the user part of an address; and the value of a secret environment variable, wherever it turns
up. A name alone does not make a secret if its value is a word: ``pooling.token=cls`` stays.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

MASK: Final = "<masked>"
"""The text that replaces a secret."""

_LEAST_LENGTH: Final = 8
"""Shorter values are not searched for elsewhere, since they would be found in harmless text."""

_ALWAYS: Final = frozenset({"password", "passwd", "passphrase", "pwd", "secret", "apikey", "authorization", "cookie"})
_UNLESS_A_WORD: Final = frozenset({"token", "credential", "key", "auth", "dsn", "bearer", "pass", "pw", "pat"})
_IN_NEED_OF: Final = {
    "key": frozenset(
        {
            *("api", "access", "private", "secret", "account", "storage", "signing", "encryption", "auth", "license"),
            *("ssh", "session", "master", "service", "wandb", "openai", "anthropic", "hf", "huggingface", "comet"),
            *("neptune", "kaggle", "mlflow", "aws", "azure", "gcp", "google", "github", "gitlab", "slack"),
        }
    ),
    "pat": frozenset({"github", "gitlab", "gh", "azure", "ado"}),
    "pass": frozenset(
        {"db", "database", "user", "login", "admin", "root", "sudo", "smtp", "mail", "ftp", "proxy", "my"}
    ),
}
"""Words that say little, each with those of which one must stand before it."""

_OF_TEXTS: Final = frozenset(
    {
        *("eos", "bos", "pad", "unk", "cls", "sep", "mask", "sot", "eot", "special", "start", "end", "stop", "image"),
        *("begin", "prompt", "prefix", "suffix", "decoder", "encoder", "pooling", "pool", "first", "last", "trigger"),
    }
)
"""Words before ``token`` that tell of texts: the token is a piece of one."""

_HARMLESS: Final = {"PWD", "OLDPWD"}

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PATH: Final = re.compile(r"(~|\.{1,2})?/[^\s=+]*|[\w./-]+\.(json|pem|key|txt|ya?ml|toml|ini)")

# Every repetition is bounded: a log line may hold a megabyte.
_SHAPES: Final = re.compile(
    r"""
    (?<=://)[^\s/@:]{0,255}:[^\s/@]{1,255}(?=@)                                                       # user:password@
  | (?<=://)[^\s/@:]{20,255}(?=@)                                                                     # token@
  | \b(?:
        gh[pousr]_[A-Za-z0-9]{20,255} | github_pat_[A-Za-z0-9_]{20,255} | glpat-[A-Za-z0-9_-]{16,255}   # git hosts
      | hf_[A-Za-z0-9]{20,255} | wandb_v1_[A-Za-z0-9_]{20,255} | dckr_pat_[A-Za-z0-9_-]{20,255}
      | api_org_[A-Za-z0-9]{20,255} | r8_[A-Za-z0-9]{30,255} | dapi[0-9a-f]{32} | dop_v1_[0-9a-f]{40,255}
      | sk-[A-Za-z0-9_-]{20,255} | gsk_[A-Za-z0-9]{20,255} | xai-[A-Za-z0-9]{20,255} | pplx-[A-Za-z0-9]{20,255}
      | xox[abeprs]-[A-Za-z0-9-]{10,255} | xapp-[A-Za-z0-9-]{20,255} | npm_[A-Za-z0-9]{20,255}
      | pypi-[A-Za-z0-9_-]{30,512} | AIza[A-Za-z0-9_-]{30,64} | ya29\.[A-Za-z0-9_-]{20,512}
      | GOCSPX-[A-Za-z0-9_-]{20,64}
      | (?:AKIA|ASIA)[A-Z0-9]{16} | SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64} | hv[sb]\.[A-Za-z0-9_-]{20,512}
      | [rsp]k_(?:live|test)_[A-Za-z0-9]{16,255} | lin_api_[A-Za-z0-9]{20,255} | ntn_[A-Za-z0-9]{20,255}
      | nvapi-[A-Za-z0-9_-]{20,255} | tgp_v1_[A-Za-z0-9_-]{20,255} | glsa_[A-Za-z0-9_]{20,255}
      | eyJhcGlfYWRkcmVzcyI6[A-Za-z0-9+/=]{20,2048}                                                      # Neptune
      | [0-9]{8,10}:AA[A-Za-z0-9_-]{33} | AGE-SECRET-KEY-1[A-Z0-9]{50,80}                               # Telegram, age
      | eyJ[A-Za-z0-9_-]{10,2048}\.eyJ[A-Za-z0-9_-]{10,2048}\.[A-Za-z0-9_-]{10,2048}                  # JSON web tokens
    )
  | (?<=hooks\.slack\.com/services/)[A-Za-z0-9/]{20,255} | (?<=/api/webhooks/)[0-9]{10,30}/[A-Za-z0-9_-]{30,255}
  | (?i:(?<=bearer\s)|(?<=basic\s))[A-Za-z0-9._~+/=-]{16,2048}                                        # headers
  | (?<=[?&])(?i:(?:x-amz-)?sig|(?:x-amz-)?signature|token|access_token|api_key|key)=[^\s&\#"']{8,1024}  # of addresses
  | -----BEGIN\ [A-Z ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----(?:[^-]|-(?!--)){0,16384}(?:-----END\ [A-Z ]{0,60}-----)?
    """,
    re.VERBOSE,
)

_ASSIGNMENT: Final = re.compile(
    r"""(?<![\w.-])(?P<name>[A-Za-z_][\w.-]{0,127})(?P<sign>["']?\s{0,4}[=:]\s{0,4})"""
    # What ends with a colon is the next name.
    r"""(?P<value>"[^"\n]{1,1024}"|'[^'\n]{1,1024}'|\[[^\]\n]{1,1024}\]|(?![\w.-]{1,128}["']?:\s)[^\s,;&"'\}\])]{1,1024})"""
)
_OPTION: Final = re.compile(
    r"""(?<![\w-])--(?P<name>[A-Za-z][\w.-]{0,127})(?P<sign>[ =]["']?|["'],\s{0,2}["'])"""
    r"""(?P<value>[^\s"',;-][^\s"',;]{0,1023})"""
)
"""An option of a program with its value, in a line or in a list of words."""

_WORD_OF_COMMAND: Final = re.compile(
    r"(?P<start>(?:\+{1,2}|--?)?(?P<name>[A-Za-z_][\w.@/-]{0,255})=)(?P<value>.+)", re.DOTALL
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
    if not value or name in _HARMLESS or "${" in value or value == MASK:
        return False
    words = _words(name)
    if _names_secrets(words):
        return value not in ("null", "None", "true", "false", "True", "False")
    if not words or words[-1] not in _UNLESS_A_WORD:
        return False
    last, before = words[-1], set(words[:-1])
    if (last in _IN_NEED_OF and not before & _IN_NEED_OF[last]) or (last == "token" and before & _OF_TEXTS):
        return False
    if value[0] in "<[({" or (last in ("credential", "key") and "secret" not in before and _PATH.fullmatch(value)):
        return False
    return len(value) >= _LEAST_LENGTH and (not value.isalpha() or len(value) >= 2 * _LEAST_LENGTH)


def _words(name: str) -> list[str]:
    """Return the words of the last part of a name, in lower case; the last one in the singular."""
    words = [word.lower() for word in _WORDS.findall(name.rpartition(".")[2])]
    if words and words[-1] in ("passwords", "passphrases", "secrets", "credentials", "cookies", "apikeys", "keys"):
        words[-1] = words[-1][:-1]
    return words


def _names_secrets(words: list[str]) -> bool:
    """Tell whether all that is called so is secret, whatever it looks like."""
    if len(words) > 1 and words[-1] in ("list", "value", "values", "string", "str"):
        words = words[:-1]
    return bool(words) and (words[-1] in _ALWAYS or "".join(words[-2:]) in _ALWAYS)


_learned: dict[str, None] = {}


def learn_secrets(content: Any) -> None:
    """Remember the secrets in nested dicts and lists, to mask them wherever this process records something.

    Examples
    --------
    >>> learn_secrets({"db": {"password": "not-to-be-told"}})
    >>> masked("cannot log in with not-to-be-told", {})
    'cannot log in with <masked>'
    """
    for value in _secrets_in(content):
        if len(value) >= _LEAST_LENGTH and not value.isalpha():
            _learned[value] = None


def _secrets_in(content: Any, *, all_of_it: bool = False) -> Iterator[str]:
    if isinstance(content, dict):
        for name, value in content.items():
            inner = isinstance(value, dict | list | tuple)
            if inner:
                yield from _secrets_in(value, all_of_it=all_of_it or _names_secrets(_words(str(name))))
            elif isinstance(value, str) and (all_of_it or is_secret(str(name), value)):
                yield value
    elif isinstance(content, list | tuple):
        for value in content:
            if isinstance(value, dict | list | tuple):
                yield from _secrets_in(value, all_of_it=all_of_it)
            elif isinstance(value, str) and all_of_it:
                yield value


def masked(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return `text` with each secret masked.

    Examples
    --------
    >>> masked("git clone https://me:pa55@example.org/x", {})
    'git clone https://<masked>@example.org/x'
    >>> masked("+hf_token=abcd1234 seed=1", {})
    '+hf_token=<masked> seed=1'
    """
    return _masked(text, _known_values(environment))


def holds_secret(text: str) -> bool:
    """Tell whether a script holds something that `masked` would mask.

    Examples
    --------
    >>> holds_secret("python main.py +hf_token=abcd1234"), holds_secret("python main.py seed=1")
    (True, False)
    """
    return masked(text) != text


def _masked(text: str, values: list[str]) -> str:
    for value in values:
        text = text.replace(value, MASK)
    text = _OPTION.sub(_masked_option, _SHAPES.sub(MASK, text))
    return _ASSIGNMENT.sub(_masked_assignment, text)


def _known_values(environment: Mapping[str, str]) -> list[str]:
    found = [value for name, value in environment.items() if len(value) >= _LEAST_LENGTH and is_secret(name, value)]
    return sorted({*found, *_learned}, key=len, reverse=True)


def _masked_option(match: re.Match[str]) -> str:
    name, sign, value = match.group("name", "sign", "value")
    return f"--{name}{sign}{MASK}" if is_secret(name, value) else match.group()


def _masked_assignment(match: re.Match[str]) -> str:
    name, sign, value = match.group("name", "sign", "value")
    quote = value[0] if value[0] in "\"'" else ""
    if value[0] == "[":  # of which a part may be a secret only where the name says so
        return f"{name}{sign}{MASK}" if _names_secrets(_words(name)) else match.group()
    return f"{name}{sign}{quote}{MASK}{quote}" if is_secret(name, value.strip("\"'")) else match.group()


def without_secrets(content: Any, environment: Mapping[str, str] = os.environ) -> Any:
    """Return nested dicts and lists with each secret in their texts masked.

    Examples
    --------
    >>> without_secrets({"db": {"user": "me", "password": "cat"}, "seed": 1}, {})
    {'db': {'user': 'me', 'password': '<masked>'}, 'seed': 1}
    """
    return _without(content, _known_values(environment))


def _without(content: Any, values: list[str]) -> Any:
    if isinstance(content, dict):
        return {name: _value_without(str(name), value, values) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_word_without(item, values) if isinstance(item, str) else _without(item, values) for item in content]
    # A secret that is recognised by its shape is longer than that.
    return _masked(content, values) if isinstance(content, str) and len(content) >= _LEAST_LENGTH else content


def _value_without(name: str, value: Any, values: list[str]) -> Any:
    if isinstance(value, dict | list | tuple):
        return _all_masked(value) if _names_secrets(_words(name)) else _without(value, values)
    if isinstance(value, str):
        return MASK if is_secret(name, value) else _without(value, values)
    # A number is a secret, and not how many there are, only where the name cannot mean anything else.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return MASK if is_number and not name.endswith("s") and _names_secrets(_words(name)) else value


def _all_masked(content: Any) -> Any:
    """Return the content of something called secret: its names, with all texts and numbers masked."""
    if isinstance(content, dict):
        return {name: _all_masked(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_all_masked(item) for item in content]
    is_kept = content is None or isinstance(content, bool) or content == "" or "${" in str(content)
    return content if is_kept else MASK


def _word_without(word: str, values: list[str]) -> str:
    """Mask all of the value in a word of a command, ``name=value``, which may have spaces and brackets."""
    found = _WORD_OF_COMMAND.fullmatch(word)
    if found is not None and is_secret(found["name"].replace("/", "."), found["value"].strip("\"'")):
        return f"{found['start']}{MASK}"
    if found is not None and _names_secrets(_words(found["name"])) and "${" not in found["value"]:
        return f"{found['start']}{MASK}"
    return _masked(word, values) if len(word) >= _LEAST_LENGTH else word
