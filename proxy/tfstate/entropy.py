"""Text that was drawn at random rather than written by a person, and what only looks so.

Each pair of neighbours speaks for one or the other: random text changes between small letters,
capitals and digits at two of three places, and its letters follow each other as they never do in
words. The sum over the best part of a run of characters decides (a log-likelihood ratio).
Digests in hexadecimal, UUIDs and identifiers of clouds have no mixed case and never get so far.
"""

import base64
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from operator import add
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Final

SHORTEST: Final = 20
"""Characters of the shortest run that is judged."""
RANDOM: Final = 6.0
"""The score from which on a run is random; measured on the corpora of the tests."""
_JUDGED: Final = 400
"""Characters of a run that are judged; a longer one is much the same further on."""

_RUN: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{20,}+={0,2}")
"""Runs in the alphabets of base64 (RFC 4648 sections 4 and 5), long enough to be a secret."""


def _words(text: str) -> frozenset[str]:
    """A set written as text, many words a line."""
    return frozenset(text.split())


_COMMON_PAIRS: Final = _words(
    """
    th he in er an re nd at on nt ha es st en ed to it ou ea hi is or ti as te et ng of al de se le
    sa si ar ve ra ld ur ri io ro li ic ne me co ma ta ce ll be ch om la el us ec ss pe ac no ct
    ho tr di ut so ns rs ol ie un ee wa ca em ni os em po su pr mo ad ge ag lo il ab im ap op up
    am id ig ul lu pl ex da ot ir po cl ry ay ck ke ey cr rt ts ty ly bu ub fi if fa fo ff pp
    do od ow ew lt ga go gr ob ov ev iv av vi va vo by au bl br dd em ep sp sh sc sk ks wo ws
    mp nf nc nk oo oc ok pa pi ph pu pt qu rc rd rg rk rm rn ru rv sm sn tc tt tu tw ua ud ue
    ui um vp ys ya yp yt ze zo iz az gi gu gh ft ef eg eb ei eo ia ib bo ba bi hu
    """
)
_CHANGE: Final = 0.9  # ln(0.62 / 0.25): random against written
_SAME: Final = -0.68  # ln(0.38 / 0.75)
_COMMON: Final = -0.9
_UNCOMMON: Final = 1.3

_DIGIT: Final = re.compile("[0-9]")
_KNOWN_BINARY: Final = (
    *("MII", "MIG", "MIH", "MFkw", "MFYw", "MHYw", "MCow", "MDkw"),  # certificates, public keys
    *("AAAAB3NzaC1", "AAAAC3NzaC1", "AAAAE2VjZHNh", "AAAAGnNr", "AAAAInNr"),  # RFC 4253 section 6.6
    *("LS0tLS1CRUdJTi", "H4sI", "UEsDB", "iVBORw0KGgo", "/9j/", "R0lGOD", "JVBERi", "AGFzbQ"),
    *("d09GR", "AAABAAEA", "PHN2Zy", "f0VMR", "Qlpo", "KLUv"),  # files: gzip, zip, images, programs
    *("sha256-", "sha384-", "sha512-"),  # subresource integrity
)
"""How base64 begins whose content is known and no secret by itself."""
_BEFORE_DIGEST: Final = re.compile(
    r"(?:(?:SHA|sha)(?:1|256|384|512)[:-]|MD5:|h1:|[a-z-]*verif[a-z-]*=)$"
)
_BEFORE_VAULT_TOKEN: Final = ("s.", "b.", "r.")
"""How tokens of Vault began before 1.10."""

_HARMLESS_NAME: Final = re.compile(
    r"(?:^|_)(?:hash(?:es)?|digests?|e?tags?|md5(?:hash)?|(?:base64)?sha(?:1|256|384|512)|checksums?|crc32c?|crc"
    r"|fingerprints?|thumbprints?|integrity|signatures?|versions?|revision|commit|nonce|modulus"
    r"|ids?|arns?|names?|uuid|guid|accessor|kid|n|x|y|x5c|x5t|alg|b64_std|b64_url|hex"
    r"|certs?|certificates?(?:_pem|_body|_chain|_data)?|chain|bundle|ca|ca_(?:cert|certificate)s?"
    r"|ca_data|cacert|public_?key(?:_openssh|_pem|_base64)?|ssh_keys?|authorized_keys?|dkim"
    r"|cursor|checksum_[a-z0-9]+|verification|challenge|bucket|hostname|endpoint|host|fqdn|domain"
    r"|ds_record|dnskey|dns_?name|image|images|policy|spf|description|comment)"
    r"(?:_(?:md5|sha1|sha256|sha384|sha512|base64|b64|std|url|64|hex|pem|v[0-9]))*$"
)
"""Names under which random text is a digest, an identifier or public."""
_BORDER: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")


@lru_cache(maxsize=16_384)
def expects_random(name: str) -> bool:
    """Whether random text is ordinary under an attribute's name: `source_code_hash`, `etag`."""
    return _HARMLESS_NAME.search(_BORDER.sub("_", name).lower()) is not None


def _weights() -> Iterator[tuple[str, float]]:
    """What each two letters or digits that follow each other say."""
    classes = (ascii_lowercase, ascii_uppercase, digits)
    for first, second in product(classes, repeat=2):
        for pair in map("".join, product(first, second)):
            weight = _SAME if first is second else _CHANGE
            if first is second is not digits:
                weight += _COMMON if pair.lower() in _COMMON_PAIRS else _UNCOMMON
            yield pair, weight


_WEIGHTS: Final = dict(_weights())

_DRAWN_ID: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:[0-9a-f]{8,}|[0-9A-F]{8,}"
    r"|(?:00[a-z]|0oa|exk|aus)[0-9a-z][A-Za-z0-9]{16})(?![A-Za-z0-9])"  # the last: ids of Okta
)
"""Parts of a run that are random, but only identify something."""


def score(run: str) -> float:
    """How much more likely the most random part of a run is random than written."""
    run = _DRAWN_ID.sub("-", run)
    best = total = 0.0
    for pair in map(add, run, run[1:]):
        total += _WEIGHTS.get(pair, 0.0)
        if total < 0.0:
            total = 0.0
        elif total > best:
            best = total
    return best


def random_runs(text: str) -> Iterator[tuple[int, int]]:
    """Spans of runs that look drawn at random; a text below `SHORTEST` characters has none."""
    for match in _RUN.finditer(text):
        run = match[0][:_JUDGED]
        if run.islower() or run.isupper() or _DIGIT.search(run) is None:
            continue
        if score(run) < RANDOM or run.startswith(_KNOWN_BINARY) or _is_text(run):
            continue
        start, end = match.span()
        if _BEFORE_DIGEST.search(text[max(0, start - 32) : start]) is None:
            yield start - 2 * text.startswith(_BEFORE_VAULT_TOKEN, max(0, start - 2)), end


def _is_text(run: str) -> bool:
    """Whether base64 stands for readable text, in which others look."""
    run = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(run[: len(run) // 4 * 4]).decode()
    except ValueError:
        return False
    return all(character.isprintable() or character in "\r\n\t" for character in decoded)
