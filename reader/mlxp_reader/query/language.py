"""The reader's filter language: from the text of a query to an expression.

``config.lr < 0.1 & info.status == 'COMPLETE'``: a comparison has a field's name on one side and a literal on the other.
Comparisons bind tightest, then ``~`` or ``not``, then ``&`` or ``and``, then ``|`` or ``or``. The whole grammar::

    any        = all (("|" | "or") all)*
    all        = inverse (("&" | "and") inverse)*
    inverse    = ("~" | "not") inverse | "(" any ")" | comparison
    comparison = name ("==" | "!=" | "<" | "<=" | ">" | ">=") literal
               | literal ("==" | "!=" | "<" | "<=" | ">" | ">=") name
               | name ["not"] "in" list
               | name "is" ["not"] "None"
    literal    = number | string | "True" | "False" | "None" | list
    list       = "[" [literal ("," literal)* [","]] "]"

A name is words joined by dots, as in ``test.acc@val.acc.max`` or ``train.loss.at(100)``; any other name is put in
backticks. Strings take single or double quotes and Python's
escapes; ``true``, ``false`` and ``null`` are allowed, as YAML writes them. See `mlxp_reader.query.expressions`
for what a comparison means. Every query of MLXP 1 is valid here and has the same meaning.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from mlxp.errors import QuerySyntaxError, shortened
from mlxp_reader.query.expressions import (
    All,
    AnyOf,
    Comparison,
    Everything,
    Expression,
    Membership,
    Not,
    QueryPlace,
    RecordPredicate,
)

MAX_DEPTH = 100
"""How deeply parentheses, inversions and lists may be nested."""


@runtime_checkable
class Parser(Protocol):
    """Reads the queries of a reader; pass your own parser as ``Reader(..., parser=...)``.

    Examples
    --------
    >>> class SeedParser:
    ...     def parse(self, query):
    ...         return lambda record: record.get("config.seed") == int(query)
    >>> isinstance(SeedParser(), Parser)
    True
    """

    def parse(self, query: str) -> Expression | Callable[[Mapping[str, Any]], Any]:
        """Return the meaning of `query`.

        This is either an `Expression` or a function of one run's record that tells whether the run matches. A record is
        a flat dict of the run's configuration and info, such as ``{"config.lr": 0.1, "info.status": "COMPLETE"}``;
        it does not contain the keys that the run lacks.

        Raises
        ------
        QuerySyntaxError
            If `query` is not valid. Any other error may be raised, too; it reaches the caller of ``Reader.filter``.
        """


class DefaultParser:
    """Reads the filter language of this module.

    Examples
    --------
    >>> DefaultParser().parse("seed == 1").columns()
    {'seed'}
    """

    def parse(self, query: str) -> Expression:
        """Return the meaning of `query`; see `parse`."""
        return parse(query)


def expression_of(parsed: Expression | Callable[[Mapping[str, Any]], Any]) -> Expression:
    """Return a parser's result as an expression; a function of a record is turned into one.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if isinstance(parsed, Expression):
        return parsed
    if callable(parsed):
        return RecordPredicate(parsed)
    raise TypeError(f"a parser returns an Expression or a function of one run's record, not {type(parsed).__name__}")


def parse(text: str) -> Expression:
    """Return the expression that `text` stands for; an empty text matches every run.

    Raises
    ------
    QuerySyntaxError
        If the text is not a valid query; the message shows the place and says what was expected there.

    Examples
    --------
    >>> parse("lr < 0.1 & act is not None")
    All(operands=(Comparison(name='lr', operator='<', value=0.1), Comparison(name='act', operator='!=', value=None)))
    """
    tokens = _Tokens(text)
    if tokens.next.kind == "end":
        return Everything()
    expression = _any_of(tokens)
    if tokens.next.kind != "end":
        raise tokens.error("expected '&', '|' or the end of the query")
    return expression


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # "name", "number", "string", "wrong", "end"; operators, brackets and keywords are their own kind
    text: str
    start: int


_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|[0-9][0-9_]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![\w.]))
  | (?P<name>[^\W\d]\w*(?:\.\w+)*(?:@\w+(?:\.\w+)*)*(?:\([-+\w.\ ]+\))?)
  | `(?P<quoted>[^`]+)`
  | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
  | (?P<symbol>[=!<>]=|[<>&|~()\[\],])
  | (?P<wrong>.\w*)
    """,
    re.VERBOSE | re.DOTALL,
)
_CONSTANTS = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None}
_KEYWORDS = {"and": "&", "or": "|", "not": "~", "in": "in", "is": "is"}
_COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")
_FLIPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LITERALS = ("number", "string", "constant", "[")


class _Tokens:
    """The words of a query, one after the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.depth = 0
        self._tokens = [token for match in _TOKEN.finditer(text) if (token := _token(match)) is not None]
        self._tokens.append(_Token("end", "", len(text.rstrip())))
        self._position = 0

    @property
    def next(self) -> _Token:
        return self._tokens[self._position]

    def take(self) -> _Token:
        token = self.next
        self._position += token.kind != "end"
        return token

    def take_if(self, *kinds: str) -> bool:
        return self.next.kind in kinds and bool(self.take())

    def expect(self, kind: str, expected: str) -> None:
        if not self.take_if(kind):
            raise self.error(f"expected {expected}")

    def descend(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"more than {MAX_DEPTH} levels of parentheses")

    def place(self, token: _Token) -> QueryPlace:
        return QueryPlace(self.text, token.start)

    def error(self, message: str, token: _Token | None = None) -> QuerySyntaxError:
        token = token or self.next
        hint = _HINTS.get(token.text[:1]) if token.kind == "wrong" else None
        told = shortened(hint or message, 400)
        return QuerySyntaxError(f"cannot read the query: {told}\n{self.place(token).shown()}")


_HINTS = {
    "=": "'=' is written '=='",
    "!": "'!' is written '~' or 'not'",
    "'": "the string has no closing quote",
    '"': "the string has no closing quote",
    "`": "the name has no closing backtick",
    "-": "put a name with a dash in backticks; there is no arithmetic",
}


def _token(match: re.Match[str]) -> _Token | None:
    kind, text = match.lastgroup, match.group()
    if kind is None or kind == "space":
        return None
    if kind == "quoted":
        return _Token("name", text[1:-1], match.start())
    if kind == "name" and text in _CONSTANTS:
        return _Token("constant", text, match.start())
    if kind == "name" and text in _KEYWORDS:
        return _Token(_KEYWORDS[text], text, match.start())
    return _Token(text if kind == "symbol" else kind, text, match.start())


def _any_of(tokens: _Tokens) -> Expression:
    operands = [_all_of(tokens)]
    while tokens.take_if("|"):
        operands.append(_all_of(tokens))
    return operands[0] if len(operands) == 1 else AnyOf(tuple(operands))


def _all_of(tokens: _Tokens) -> Expression:
    operands = [_inverse(tokens)]
    while tokens.take_if("&"):
        operands.append(_inverse(tokens))
    return operands[0] if len(operands) == 1 else All(tuple(operands))


def _inverse(tokens: _Tokens) -> Expression:
    if tokens.next.kind not in ("~", "("):
        return _comparison(tokens)
    tokens.descend()
    if tokens.take_if("~"):
        expression: Expression = Not(_inverse(tokens))
    else:
        tokens.take()
        expression = _any_of(tokens)
        tokens.expect(")", "'&', '|' or ')'")
    tokens.depth -= 1
    return expression


def _comparison(tokens: _Tokens) -> Expression:
    if tokens.next.kind == "name":
        expression = _comparison_of_name(tokens)
    elif tokens.next.kind in _LITERALS:
        expression = _comparison_of_literal(tokens)
    else:
        raise tokens.error("expected a field's name")
    if tokens.next.kind in (*_COMPARISONS, "in", "is"):
        raise tokens.error("comparisons do not chain; join two with '&'")
    return expression


def _comparison_of_name(tokens: _Tokens) -> Expression:
    name = tokens.take()
    sign = tokens.next
    if tokens.take_if(*_COMPARISONS):
        return Comparison(name.text, sign.kind, _operand(tokens, sign), tokens.place(name))
    if tokens.take_if("is"):
        sign_of_null = "!=" if tokens.next.text == "not" and tokens.take() else "=="
        if tokens.next.text not in ("None", "null"):
            raise tokens.error("expected None after 'is'; other values are compared with '=='")
        tokens.take()
        return Comparison(name.text, sign_of_null, None, tokens.place(name))
    negated = tokens.next.text == "not" and bool(tokens.take())
    if tokens.take_if("in"):
        return Membership(name.text, tuple(_list(tokens)), negated, tokens.place(name))
    raise tokens.error(f"expected a comparison after '{name.text}', such as == 1, in [1, 2] or is None")


def _comparison_of_literal(tokens: _Tokens) -> Expression:
    value = _literal(tokens)
    sign = tokens.next
    if not tokens.take_if(*_COMPARISONS):
        raise tokens.error("expected '==', '<' or another comparison after a value")
    _check_order(tokens, sign, value)
    if tokens.next.kind != "name":
        raise tokens.error(f"expected a field's name after '{sign.text}', since its other side is a value")
    name = tokens.take()
    return Comparison(name.text, _FLIPPED[sign.kind], value, tokens.place(name))


def _operand(tokens: _Tokens, sign: _Token) -> Any:
    if tokens.next.kind == "name":
        raise tokens.error(f"expected a value after '{sign.text}'; text is put in quotes: '{tokens.next.text}'")
    value = _literal(tokens)
    _check_order(tokens, sign, value)
    return value


def _check_order(tokens: _Tokens, sign: _Token, value: Any) -> None:
    if sign.kind not in ("==", "!=") and (value is None or isinstance(value, list)):
        raise tokens.error(f"'{sign.text}' compares numbers or strings, not {value!r}", sign)


def _literal(tokens: _Tokens) -> Any:
    token = tokens.next
    if token.kind == "[":
        return _list(tokens)
    if token.kind not in _LITERALS:
        raise tokens.error("expected a value: a number, a string in quotes, True, False, None or a list")
    tokens.take()
    if token.kind == "constant":
        return _CONSTANTS[token.text]
    return _unquoted(token.text) if token.kind == "string" else _number(tokens, token)


def _list(tokens: _Tokens) -> list[Any]:
    tokens.expect("[", "a list, such as [1, 2]")
    tokens.descend()
    values: list[Any] = []
    while not tokens.take_if("]"):
        values.append(_literal(tokens))
        if not tokens.take_if(",") and tokens.next.kind != "]":
            raise tokens.error("expected ',' or ']'")
    tokens.depth -= 1
    return values


def _number(tokens: _Tokens, token: _Token) -> int | float:
    is_whole = token.text.lstrip("+-").isdecimal() or "_" in token.text or "x" in token.text.lower()
    try:
        return int(token.text, 0) if is_whole else float(token.text)
    except ValueError:
        raise tokens.error(f"'{token.text}' is not a number", token) from None


_ESCAPE = re.compile(
    r"""\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U000[0-9a-fA-F]{5}|U0010[0-9a-fA-F]{4}|[0-7]{1,3}|[\\'"abfnrtv\n])"""
)
_ESCAPED = dict(zip("\\'\"abfnrtv\n", ["\\", "'", '"', "\a", "\b", "\f", "\n", "\r", "\t", "\v", ""], strict=True))


def _unquoted(text: str) -> str:
    # As in Python, a backslash that does not begin an escape stands for itself: 'C:\data'.
    return _ESCAPE.sub(lambda match: _unescaped(match[1]), text[1:-1])


def _unescaped(code: str) -> str:
    if code in _ESCAPED:
        return _ESCAPED[code]
    return chr(int(code[1:], 16)) if code[0] in "xuU" else chr(int(code, 8))
