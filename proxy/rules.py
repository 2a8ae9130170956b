"""Rules over the claims of a CI identity: which of them a grant is for.

A rule is an expression such as ``repository == "acme/infra" and ref == "refs/heads/main"``. It
knows ``==``, ``!=``, ``in``, ``and``, ``or``, ``not``, parentheses, ``starts_with`` and
``ends_with``. rule-engine (https://zerosteiner.github.io/rule-engine/) reads and evaluates it;
everything else of its language is refused: arithmetic and functions have no use here, and a
regular expression that is not anchored, or takes for ever, is how such rules go wrong.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from proxy.errors import InvalidInputError

if TYPE_CHECKING:
    from rule_engine import Rule

MAX_RULE: Final = 2048
"""Characters."""

_ALLOWED: Final = (
    'write claims, texts in quotation marks, ==, !=, in ["a", "b"], and, or, not, parentheses, '
    'claim.starts_with("…") and claim.ends_with("…")'
)


def prepare() -> None:
    """Load the engine, which builds its parser for about a second.

    Whoever has no rule never waits for that; a server does it before the first rule comes.
    """
    import rule_engine  # noqa: F401, PLC0415


def check_rule(text: str) -> None:
    """Pass when the text is a rule.

    Raises:
        InvalidInputError: what is wrong with it, and what a rule may say.
    """
    _compiled(text)


def claims_of(text: str) -> frozenset[str]:
    """Return the names of the claims that a rule asks for.

    Raises:
        InvalidInputError: the text is no rule.
    """
    return frozenset(_compiled(text).claims)


def is_met(text: str, claims: Mapping[str, Any], *, in_doubt: bool = False) -> bool:
    """Tell whether claims meet a rule.

    Args:
        text: the rule.
        claims: what the issuer says.
        in_doubt: the answer when the rule asks for a claim that is not there, looks into one that
            is no list, or is no rule at all: False for what gives, True for what denies.
    """
    from rule_engine.errors import EngineError  # noqa: PLC0415 - see prepare

    try:
        compiled = _compiled(text)
        asked = {name: claims[name] for name in compiled.claims}
        if not all(isinstance(asked[name], list) for name in compiled.lists):
            return in_doubt
        return bool(compiled.rule.matches(asked))
    except (EngineError, InvalidInputError, LookupError, TypeError, ValueError):
        return in_doubt


class _Compiled(NamedTuple):
    """A rule that was read.

    Attributes:
        rule: evaluates it.
        claims: that it asks for.
        lists: those of them that it looks for something in. In a text that would find any part
            of it: ``"acme" in repository`` would hold for ``evil/acme-copy``.
    """

    rule: "Rule"
    claims: set[str]
    lists: set[str]


@lru_cache(maxsize=1024)
def _compiled(text: str) -> _Compiled:
    from rule_engine import Context, Rule  # noqa: PLC0415 - see prepare
    from rule_engine.errors import EngineError  # noqa: PLC0415

    if len(text) > MAX_RULE:
        raise InvalidInputError(f"the rule has {len(text)} characters; at most {MAX_RULE} are read")
    try:
        rule = Rule(text, context=Context(mapping_attribute_lookup=False))
    except (EngineError, RecursionError, ValueError) as error:
        raise InvalidInputError(f"the rule {text!r} can't be read: {_ALLOWED}") from error
    compiled = _Compiled(rule, set(), set())
    _collect(rule.statement.expression, compiled)
    if not compiled.claims:
        raise InvalidInputError(
            f"the rule {text!r} asks for no claim, so it says the same of everybody: {_ALLOWED}"
        )
    return compiled


def _collect(node: Any, into: _Compiled) -> None:  # noqa: ANN401, C901 - a case for each kind
    """Note the claims below a node, which may be no more than a rule may say.

    Raises:
        InvalidInputError: it is.
    """
    from rule_engine import ast  # noqa: PLC0415 - see prepare

    match node:
        case ast.SymbolExpression(scope=None):
            into.claims.add(node.name)
        case ast.StringExpression() | ast.BooleanExpression() | ast.FloatExpression():
            pass
        case ast.ArrayExpression():
            for member in node.value:
                _collect(member, into)
        # What stands between `and` and `or` asks for a claim: `… or true` is a rule for everybody.
        case ast.LogicExpression() if not _is_constant(node.left) and not _is_constant(node.right):
            _collect(node.left, into)
            _collect(node.right, into)
        # Its subclasses compare by order and by regular expression.
        case ast.ComparisonExpression() if type(node) is ast.ComparisonExpression:
            _collect(node.left, into)
            _collect(node.right, into)
        case ast.UnaryExpression(type="not") if not _is_constant(node.right):
            _collect(node.right, into)
        case ast.ContainsExpression(container=ast.ArrayExpression() | ast.SymbolExpression()):
            _collect(node.member, into)
            _collect(node.container, into)
            if isinstance(node.container, ast.SymbolExpression):
                into.lists.add(node.container.name)
        case ast.FunctionCallExpression(
            function=ast.GetAttributeExpression(name="starts_with" | "ends_with")
        ):
            _collect(node.function.object, into)
            for argument in node.arguments:
                _collect(argument, into)
        case _:
            raise InvalidInputError(
                f"the rule {into.rule.text!r} says more than a rule may: {_ALLOWED}"
            )


def _is_constant(node: Any) -> bool:  # noqa: ANN401 - the library's nodes share no type
    from rule_engine import ast  # noqa: PLC0415 - see prepare

    return isinstance(node, ast.StringExpression | ast.BooleanExpression | ast.FloatExpression)
