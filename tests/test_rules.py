"""Tests of proxy.rules."""

import pytest

from proxy.errors import InvalidInputError
from proxy.rules import MAX_RULE, check_rule, claims_of, is_met

CLAIMS = {
    "repository": "acme/infra",
    "ref": "refs/heads/main",
    "groups": ["platform", "security"],
    "protected": True,
}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('repository == "acme/infra"', True),
        ('repository == "acme/infra" and ref == "refs/heads/main"', True),
        ('repository == "acme/infra" and ref == "refs/heads/dev"', False),
        ('repository == "acme/other" or ref == "refs/heads/main"', True),
        ('not (repository == "acme/infra")', False),
        ('repository != "acme/infra"', False),
        ('ref in ["refs/heads/main", "refs/heads/dev"]', True),
        ('ref in ["refs/heads/dev"]', False),
        ('"security" in groups', True),
        ('"sec" in groups', False),
        ('ref.starts_with("refs/heads/")', True),
        ('ref.ends_with("/main")', True),
        ('ref.starts_with("refs/tags/")', False),
        ("protected == true", True),
        ('repository == "Acme/Infra"', False),
        ('repository == "acme/infra" and (ref == "x" or ref == "refs/heads/main")', True),
    ],
)
def test_a_rule_is_met_by_what_it_says(rule: str, expected: bool) -> None:
    """Every form that a rule may have."""
    check_rule(rule)
    assert expected is is_met(rule, CLAIMS)


@pytest.mark.parametrize(
    "rule",
    [
        'environment == "production"',  # the claim is not there
        'environment != "production"',
        'not (environment == "production")',
        'repository == "acme/infra" or environment == "production"',
        '"acme" in repository',  # a text is no list: any part of it would be found
        'protected.starts_with("t")',  # no text
        "repository ==",  # no rule
    ],
)
def test_in_doubt_the_caller_says_what_holds(rule: str) -> None:
    """What gives does not give, and what denies denies."""
    assert not is_met(rule, CLAIMS, in_doubt=False)
    assert is_met(rule, CLAIMS, in_doubt=True)


@pytest.mark.parametrize(
    "rule",
    [
        'repository =~ "acme/.*"',
        'repository =~~ "acme"',
        'repository > "a"',
        "repository == null",
        '"a" in "abc"',
        "[each for each in groups]",
        'groups[0] == "platform"',
        "$now == repository",
        'repository == d"2026-01-01"',
        "-run == 1",
        'repository == "a" ? true : false',
        'repository.to_set == "x"',
        'ref in [repository.x, "a"]',
        "split(repository)",
    ],
)
def test_a_rule_may_say_no_more(rule: str) -> None:
    """Everything else of the expression's language is refused, with what may be written."""
    with pytest.raises(InvalidInputError, match=r"may|can't be read|no claim"):
        check_rule(rule)


@pytest.mark.parametrize(
    "rule",
    [
        'sub == "x" or true',
        'sub == "x" or 1 == 1',
        '"a" == "a" or sub == "x"',
        'sub == "x" and not false',
        'sub == "x" or not (1 == 2)',
        'sub == "x" or "a" in ["a"]',
        'sub == "x" or "a".starts_with("a")',
        'sub == "x" or ["a"] == ["a"]',
    ],
)
def test_no_part_of_a_rule_holds_for_everybody(rule: str) -> None:
    """A rule that is met whatever one claim says is met by anybody."""
    with pytest.raises(InvalidInputError, match="says more than a rule may"):
        check_rule(rule)


@pytest.mark.parametrize("rule", ["1 == 1", "true", '"a" == "a"', '"a" in ["a"]'])
def test_a_rule_that_holds_for_everybody_is_none(rule: str) -> None:
    """Public issuers vouch for anybody."""
    with pytest.raises(InvalidInputError, match="asks for no claim"):
        check_rule(rule)


@pytest.mark.parametrize(
    "rule", ["", "repository ==", "(" * 500, "a b", 'a == "', "\x00", "ä == 1 1"]
)
def test_what_is_no_rule_is_refused(rule: str) -> None:
    """With what may be written instead."""
    with pytest.raises(InvalidInputError, match=r"can't be read|asks for no claim"):
        check_rule(rule)


def test_a_rule_has_a_length() -> None:
    """An expression is read by recursion."""
    with pytest.raises(InvalidInputError, match=str(MAX_RULE)):
        check_rule('a == "' + "x" * MAX_RULE + '"')


def test_the_claims_of_a_rule_are_known() -> None:
    """Wherever in it they stand."""
    rule = 'a == "1" and (b in ["x", c] or not d.starts_with(e))'
    assert frozenset("abcde") == claims_of(rule)
