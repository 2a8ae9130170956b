"""Tests of proxy.certificates: one form for each name, and nothing is guessed."""

import contextlib
import warnings
from base64 import b64encode
from urllib.parse import quote

import pytest
from cryptography import x509
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.certificates import canonical_name, from_header, read_certificate, subject_of
from proxy.errors import InvalidInputError
from tests.certificates import CLIENTS, SERVERS, authority

NAMES = (
    x509.DNSName("CI.Example.COM"),
    x509.UniformResourceIdentifier("spiffe://example.com/CI"),
    x509.RFC822Name("Ci@Example.COM"),
    x509.DNSName("*.example.com"),
    x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
)


@pytest.mark.parametrize(
    "name",
    [
        "CN=ci",
        "CN=ci,OU=Build,O=Acme,C=DE",
        r"CN=Acme\, Inc.,O=a\+b",
        "CN=J\u00fcrgen,O=\u30a2",
        "emailAddress=ci@example.com,CN=ci",
        "serialNumber=1,CN=ci",
        "CN=ci+UID=7,DC=example,DC=com",
        "1.2.3.4=x,CN=ci",
        r"CN=\ ci\ ",
        "DNS:ci.example.com",
        "DNS:localhost",
        "URI:spiffe://example.com/ns/CI",
        "EMAIL:Ci@example.com",
    ],
)
def test_a_name_in_its_one_form_stays(name: str) -> None:
    """Whatever kind it is of."""
    assert name == canonical_name(name)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (r"CN=a\2cb", r"CN=a\,b"),
        (r"CN=J\C3\BCrgen", "CN=J\u00fcrgen"),
        ("UID=7+CN=ci,DC=com", "CN=ci+UID=7,DC=com"),
        ("1.2.840.113549.1.9.1=a@b,CN=ci", "emailAddress=a@b,CN=ci"),
        ("2.5.4.3=ci", "CN=ci"),
        ("street=x", "STREET=x"),
        ("dns:ci", "DNS:ci"),
        ("DNS:CI.example.com", "DNS:ci.example.com"),
        ("Email:ci@EXAMPLE.com", "EMAIL:ci@example.com"),
        ("uri:spiffe://a/B", "URI:spiffe://a/B"),
    ],
)
def test_another_form_is_refused_with_the_one(name: str, wanted: str) -> None:
    """So that two principals never have one name in two forms."""
    with pytest.raises(InvalidInputError) as caught:
        canonical_name(name)
    assert str(caught.value).endswith(f"is written {wanted}")
    assert wanted == canonical_name(wanted)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ci",
        "CN",
        "CN=",
        "cn=ci",
        "CN=ci,",
        "CN=ci, O=Acme",
        "C = DE, O = Acme, CN = ci",
        "/C=DE/O=Acme/CN=ci",
        "CN=ci;O=Acme",
        "CN=#0c0161",
        "O=Acme,CN=#0c0161",
        "CN=a\\",
        r"CN=\zz",
        r"CN=\ff",
        "CN=a\nb",
        "CN=\ud800",
        "CN=" + "a," * 300,
        "O=" + "a" * 500,
        "DNS:",
        "DNS:a b",
        "DNS:*.example.com",
        "DNS:.a",
        "DNS:ci\n",
        "DNS:" + "a" * 254,
        "URI:",
        "URI:ci",
        "URI:spiffe://a b",
        "EMAIL:",
        "EMAIL:ci",
        "IP:10.0.0.1",
    ],
)
def test_what_is_no_name_is_refused_with_what_is_one(name: str) -> None:
    """A typo must not look like a principal that nobody can be."""
    with pytest.raises(InvalidInputError):
        canonical_name(name)


@given(st.text(max_size=80))
def test_whatever_is_read_as_a_name_is_refused_or_itself(name: str) -> None:
    """Nothing else is raised, and what passes is in the one form."""
    with contextlib.suppress(InvalidInputError):
        assert name == canonical_name(name)


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=9),
        min_size=1,
        max_size=4,
    )
)
def test_a_subject_has_the_same_form_in_a_certificate_and_as_text(values: list[str]) -> None:
    """Also when its values hold what RFC 4514 escapes: no value passes for two."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, each) for each in values])
    written = subject_of(name.rfc4514_string())
    assert len(values) == len(x509.Name.from_rfc4514_string(written).rdns)
    assert written == subject_of(written)


def test_the_names_of_a_certificate_are_subject_and_alternatives() -> None:
    """In the form in which a principal has them; kinds that prove nobody are left out."""
    pair = authority().issue("CN=ci,OU=Build,O=Acme", NAMES)
    found = read_certificate(pair.der)
    assert (
        "CN=ci,OU=Build,O=Acme",
        "DNS:ci.example.com",
        "URI:spiffe://example.com/CI",
        "EMAIL:Ci@example.com",
        "DNS:*.example.com",
    ) == found.names
    assert [False, False] == [found.not_before is None, found.not_after is None]
    assert 64 == len(found.sha256)


def test_a_certificate_without_a_subject_has_its_alternatives() -> None:
    """As SPIFFE's do."""
    pair = authority().issue("", NAMES[1:2])
    assert ("URI:spiffe://example.com/CI",) == read_certificate(pair.der).names


def test_a_long_common_name_is_one_without_a_warning() -> None:
    """The library warns of it, on whoever's terminal that may be."""
    long = "a" * 300
    with warnings.catch_warnings(action="ignore"):
        attribute = x509.NameAttribute(x509.NameOID.COMMON_NAME, long, _validate=False)
        pair = authority().issue(x509.Name([attribute]))
    with warnings.catch_warnings(action="error"):
        assert (f"CN={long}",) == read_certificate(pair.der).names


@pytest.mark.parametrize(
    ("usage", "is_good"),
    [(None, True), ((CLIENTS,), True), ((SERVERS, CLIENTS), True), ((SERVERS,), False)],
)
def test_a_certificate_for_servers_alone_is_none_for_clients(
    usage: tuple[x509.ObjectIdentifier, ...] | None, is_good: bool
) -> None:
    """Whoever runs a server does not become somebody by its certificate."""
    der = authority().issue(usage=usage).der
    if is_good:
        assert read_certificate(der).names
    else:
        with pytest.raises(InvalidInputError, match="not issued for clients"):
            read_certificate(der)


# ---------------------------------------------------------------- as a proxy passes it

CI_SUBJECT = "CN=ci,O=Acme"
PAIR = authority().issue(CI_SUBJECT)
SEQUENCE = f":{b64encode(PAIR.der).decode()}:"


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (SEQUENCE, "rfc9440"),
        (quote(PAIR.pem), "pem"),
        (quote(PAIR.pem.strip(), safe="+=/"), "pem"),
        (quote(PAIR.pem.replace("\n", "\r\n")), "pem"),
        ("CN=ci,O=Acme", "subject"),
        (r"CN=c\69,O=Acme", "subject"),
    ],
)
def test_a_certificate_is_read_from_a_header(value: str, form: str) -> None:
    """In the form that was configured."""
    assert ("CN=ci,O=Acme",) == from_header(value, form).names


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (SEQUENCE, "pem"),
        (quote(PAIR.pem), "rfc9440"),
        (SEQUENCE, "subject"),
        (quote(PAIR.pem), "subject"),
        ("CN=ci,O=Acme", "rfc9440"),
        ("CN=ci,O=Acme", "pem"),
        (SEQUENCE[1:], "rfc9440"),
        (f"{SEQUENCE};a=1", "rfc9440"),
        (f"{SEQUENCE}, {SEQUENCE}", "rfc9440"),
        (":AAAA:", "rfc9440"),
        (":A:", "rfc9440"),
        ("::", "rfc9440"),
        (f":{b64encode(PAIR.der + b'x').decode()}:", "rfc9440"),
        (quote(PAIR.pem * 2), "pem"),
        (quote("x" + PAIR.pem), "pem"),
        (PAIR.pem.replace("\n", " "), "pem"),
        (quote(PAIR.pem[:-40]), "pem"),
        ("(null)", "subject"),
        ("CN=ci,O=Acme, CN=root", "subject"),
        ("CN=ci\udcff", "subject"),
        ("/O=Acme/CN=ci", "subject"),
    ],
)
def test_a_header_in_another_form_is_refused(value: str, form: str) -> None:
    """Never guessed at."""
    with pytest.raises(InvalidInputError, match="can't be read"):
        from_header(value, form)


@given(st.integers(0, len(PAIR.der) - 1), st.integers(1, 255), st.integers(0, 3))
@example(at=12, by=8, cut=0)  # the version
def test_a_damaged_certificate_is_refused_or_read(at: int, by: int, cut: int) -> None:
    """Nothing else is raised: who verified it is somebody else."""
    der = bytearray(PAIR.der)
    der[at] ^= by
    with contextlib.suppress(InvalidInputError):
        assert read_certificate(bytes(der[: len(der) - cut])).names is not None


def test_a_certificate_with_an_extension_twice_is_refused() -> None:
    """Which of them holds is not guessed."""
    pair = authority().issue(CI_SUBJECT, NAMES[:1])
    der = pair.der.replace(bytes.fromhex("0603551d25"), bytes.fromhex("0603551d11"))
    assert der != pair.der
    with pytest.raises(InvalidInputError, match="can't be read"):
        read_certificate(der)
