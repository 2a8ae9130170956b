"""Credentials that give themselves away by a documented shape: a table of them, and private keys.

A rule is tried only where one of its literals stands, and all literals are looked for in one pass.
No pattern goes back over what it has read: quantifiers without a bound are possessive, and what
stands before an unbounded one is never inside its set.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Final, NamedTuple

from ahocorasick_rs import AhoCorasick

Span = tuple[int, int]
"""Start and end of a secret in a text, as indexes of a str."""


class Rule(NamedTuple):
    """One shape.

    Args:
        kind: its name in `KINDS`.
        literals: texts of which at least one stands in every match.
        spans: finds them in a text.
    """

    kind: str
    literals: tuple[str, ...]
    spans: Callable[[str], Iterator[Span]]


def _shape(pattern: str) -> Callable[[str], Iterator[Span]]:
    """Spans of a pattern: of its first group if it has one."""

    @cache  # hardly any text needs it, and all of them together take long to compile
    def compiled() -> re.Pattern[str]:
        return re.compile(pattern)

    def spans(text: str) -> Iterator[Span]:
        group = min(compiled().groups, 1)
        return (match.span(group) for match in compiled().finditer(text))

    return spans


# ---------------------------------------------------------------- private keys

# RFC 7468 section 10 and 11, RFC 4716, RFC 9580 section 6.2; in a URL spaces are "+" or "%20".
_SPACE: Final = r"(?: |\+|%20)"
_PRIVATE_LABEL: Final = re.compile(
    rf"-----? ?BEGIN{_SPACE}(?:[A-Z0-9]{{1,20}}{_SPACE}){{0,3}}PRIVATE{_SPACE}KEY"
)
_NEXT_LABEL: Final = re.compile(r"-----? ?(?:END[^-\r\n]{1,80}-{4,5}|(?P<begin>BEGIN ))")
_PUBLIC_LABEL: Final = re.compile(
    rf"-----? ?BEGIN{_SPACE}(?:[A-Z0-9]{{1,20}}{_SPACE}){{0,3}}"
    r"(?:CERTIFICATE|REQUEST|PUBLIC(?: |\+|%20)KEY|CRL|PARAMETERS|PKCS7|CMS|MESSAGE|SIGNATURE)\b"
)


def _block(text: str, label: re.Match[str]) -> Span:
    """The PEM block that begins with a label; one that was cut runs to the next, or to the end."""
    last = _NEXT_LABEL.search(text, label.end())
    if last is None:
        return label.start(), len(text)
    return label.start(), last.start() if last["begin"] else last.end()


def _blocks(text: str, labels: re.Pattern[str]) -> Iterator[Span]:
    """The blocks that begin with some labels, apart from each other: each part is read once."""
    position = 0
    while (label := labels.search(text, position)) is not None:
        block = _block(text, label)
        yield block
        position = max(block[1], label.end())


def _private_blocks(text: str) -> Iterator[Span]:
    """PEM blocks of private keys, however their lines are broken."""
    return _blocks(text, _PRIVATE_LABEL)


def public_blocks(text: str) -> list[Span]:
    """Where certificates, public keys and the like stand in PEM: random, and no secret."""
    if "BEGIN" not in text:
        return []
    return list(_blocks(text, _PUBLIC_LABEL))


_PEM_IN_BASE64: Final = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/\r\n]*+={0,2}")


def _encoded_blocks(text: str) -> Iterator[Span]:
    """PEM in base64, as kubeconfigs have it, if a private key is in it."""
    for match in _PEM_IN_BASE64.finditer(text):
        encoded = re.sub(r"[\r\n=]", "", match[0])
        try:
            decoded = base64.b64decode(encoded[: len(encoded) // 4 * 4])
        except binascii.Error:  # pragma: no cover - the pattern allows only its alphabet
            continue
        if b"PRIVATE KEY" in decoded:
            yield match.span()


# PuTTY documentation, appendix C: the key stands between these two lines.
_PUTTY: Final = r"Private-Lines: [0-9]{1,6}\s[^P]*+(?:Private-MAC: [0-9a-f]{40,}+)?"

# DER in base64 without its PEM label: SEQUENCE, INTEGER 0 or 1 (RFC 5208, RFC 8017, RFC 5915), or
# INTEGER 3 (PKCS #12, RFC 7292), or an encrypted key's OID (RFC 8018). Certificates and public
# keys begin with two SEQUENCEs.
_DER: Final = (
    r"(?<![A-Za-z0-9+/])(?:MII[A-Za-z0-9+/]{2}[AQgw]IBA|MIG[A-Za-z0-9+/]AgE[AB]|MHcCAQEE"
    r"|M[CF][A-Za-z0-9+/]CAQ[AE]w|MII[A-Za-z0-9+/]{3}[A-Za-z0-9+/]{1,4}BgkqhkiG9w0BBQ)"
    r"(?:[A-Za-z0-9+/]++(?:\r?\n(?=[A-Za-z0-9+/]{16}))?+){1,999}+={0,2}"
)

# ---------------------------------------------------------------- passwords in URLs

_AUTHORITY: Final = re.compile(r"://((?:(?!://)[^\s\"'`])*+)")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+://")
_PORT: Final = re.compile(r"[0-9]{1,5}(?![^/?#,])")
_PATH_BEGIN: Final = re.compile(r"[/?#]")
_USER_TOKEN: Final = re.compile(r"(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}+")
_PLACEHOLDER: Final = re.compile(
    r"\$\{[^}]*\}|\$\([^)]*\)|\$[A-Za-z_]\w*|\{\{?[^}]*\}\}?|%[A-Za-z_]+%|%[sdv]|<[^>]*>"
    r"|\*+|[xX]{3,}|\.{3,}|…|sha256"
)
"""What stands for a password where none is written."""


def _url_passwords(text: str) -> Iterator[Span]:
    """Passwords in URLs (RFC 3986 section 3.2.1), also with punctuation that was never escaped."""
    for match in _AUTHORITY.finditer(text):
        start, end = match.span(1)
        if start < 32 and (scheme := _SCHEME.match(text)) and scheme.end() == start:
            end = _end_of_url(text, start, end)
        web = text.endswith(("http", "https"), max(0, start - 8), start - 3)
        span = _password(text[start:end], web=web)
        if span is not None:
            yield start + span[0], start + span[1]


def _end_of_url(text: str, start: int, end: int) -> int:
    """Where a URL ends that is the whole text: its password may have quotes."""
    if re.compile(r"\s").search(text, start):
        return end
    following = text.find("://", start)
    return len(text) if following < 0 else following


def _password(rest: str, *, web: bool) -> Span | None:
    """The password in what follows `://`: up to the last `@` before the path.

    A password with a `/` makes a path of its own end: then it is the last `@` of all. URLs of
    databases are always read so, since their paths have no `@`.
    """
    path = _PATH_BEGIN.search(rest)
    authority_end = len(rest) if path is None else path.start()
    at = rest.rfind("@", 0, authority_end)
    colon = rest.find(":", 0, authority_end if at < 0 else at)
    if rest.startswith("[") or (at < 0 and (colon < 0 or _PORT.match(rest, colon + 1))):
        return None
    if colon < 0:
        return (0, at) if _USER_TOKEN.fullmatch(rest, 0, at) else None
    if at < 0 or not web:
        at = rest.rfind("@")
    if at <= colon + 1 or rest.startswith("sha256:", at + 1):
        return None
    return None if _PLACEHOLDER.fullmatch(rest, colon + 1, at) else (colon + 1, at)


# ---------------------------------------------------------------- headers

_BASIC: Final = re.compile(r"[Bb]asic (?=([A-Za-z0-9+/]{4,}+={0,2}))")


def _basic_credentials(text: str) -> Iterator[Span]:
    """Base64 of `user:password` (RFC 7617)."""
    for match in _BASIC.finditer(text):
        encoded = match[1].rstrip("=")
        if len(encoded) % 4 != 1 and b":" in base64.b64decode(encoded + "=" * (-len(encoded) % 4)):
            yield match.span(1)


# ---------------------------------------------------------------- the table

_WORD: Final = r"(?<![A-Za-z0-9])"
_HEX: Final = "[0-9a-f]"


def _rule(kind: str, literals: str, pattern: str) -> Rule:
    """A rule from its literals as one text, a space between them."""
    return Rule(kind, tuple(literals.split()), _shape(pattern))


RULES: Final[tuple[Rule, ...]] = (
    Rule("private-key", ("BEGIN ", "BEGIN+", "BEGIN%20"), _private_blocks),
    Rule("private-key", ("LS0tLS1CRUdJTi",), _encoded_blocks),
    _rule("private-key", "Private-Lines:", _PUTTY),
    _rule("private-key", "MII MIG MHcCAQEE MC4CAQAw MFECAQEw", _DER),
    # RFC 7519 section 3.1; RFC 7516 section 3.1 with five parts. From the beginning of a word on,
    # whatever is glued to it: if a run of "eyJ" were tried at each of them, it would cost the
    # square of its length.
    _rule(
        "jwt",
        "eyJ",
        r"(?<![A-Za-z0-9_-])(?:(?!eyJ)[A-Za-z0-9_-])*+"
        r"(eyJ[A-Za-z0-9_-]{8,}+\.(?:eyJ[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+)?"
        r"|[A-Za-z0-9_-]*+\.[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+))",
    ),
    # AWS: STS session tokens begin with their encoded type; "Generate Amazon Bedrock API keys".
    _rule(
        "aws-session-token",
        "FwoGZXIvYXdz FQoGZXIvYXdz IQoJb3JpZ2lu AQoDYXdz",
        r"(?:F[wQ]oGZXIvYXdz|IQoJb3JpZ2lu|AQoDYXdz)[A-Za-z0-9+/%]{40,}+=*+",
    ),
    _rule(
        "aws-bedrock-key",
        "ABSK bedrock-api-key-",
        rf"{_WORD}(?:ABSK|bedrock-api-key-)[A-Za-z0-9+/]{{80,}}+=*+",
    ),
    # AWS: "Authenticating requests: query parameters (Signature Version 4)"; the same of Google.
    _rule(
        "signed-url",
        "X-Amz-Signature= X-Amz-Security-Token= X-Goog-Signature=",
        r"X-(?:Amz-Signature|Amz-Security-Token|Goog-Signature)=([A-Za-z0-9%+/=_-]{16,}+)",
    ),
    # Microsoft: "Create a service SAS", "Configure Azure Storage connection strings", "Service Bus
    # access control with SAS", and "Azure identifiable secrets" for the marks inside newer keys.
    _rule("azure-sas", "sig=", r"(?<![A-Za-z0-9])sig=([A-Za-z0-9%+/=_-]{20,}+)"),
    _rule(
        "azure-connection-string",
        "AccountKey= SharedAccessKey= SharedSecretValue= AccessKey= accesskey=",
        r"(?:AccountKey|SharedAccessKey|SharedSecretValue|[Aa]ccess[Kk]ey)=([^;\"'\s]{16,}+)",
    ),
    _rule(
        "azure-key",
        "+ASt +ASb +AEh +AIoT AzCa +ACR AzSe AzFu JQQJ99 APIM ACDb ARm AZDO",
        r"(?<![A-Za-z0-9+/])(?=[A-Za-z0-9/]{0,99}?(?:\+ASt|\+ASb|\+AEh|\+AIoT|AzCa|\+ACR|AzSe|AzFu"
        r"|JQQJ99|APIM|ACDb|AZDO))(?=[A-Za-z+/]*[0-9])[A-Za-z0-9+/]{39,}+=*+",
    ),
    _rule(
        "azure-client-secret", "Q~", r"(?<![\w~.-])[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,}+"
    ),
    # Google Cloud: "Manage API keys", "Setting up OAuth 2.0", "Token types".
    _rule("google-api-key", "AIza", rf"{_WORD}AIza[A-Za-z0-9_-]{{35,}}+"),
    _rule("google-oauth", "GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{20,}+"),
    _rule("google-oauth", "ya29. 1//0", rf"{_WORD}(?:ya29\.|1//0)[A-Za-z0-9_-]{{20,}}+"),
    # GitHub: "Behind GitHub's new authentication token formats"; "About authentication to GitHub".
    _rule("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9_]{20,}+"),
    _rule("github-token", "github_pat_", r"github_pat_[A-Za-z0-9_]{20,}+"),
    # GitLab: "Token overview", section "Token prefixes".
    _rule(
        "gitlab-token",
        "glpat- gldt- glrt- glrtr- glcbt- glptt- glft- glsoat- glagent- gloas- glimt- glffct-",
        r"gl(?:pat|dt|rtr?|cbt|ptt|ft|soat|agent|oas|imt|ffct)-[A-Za-z0-9_.-]{16,}+",
    ),
    _rule("gitlab-token", "GR1348941", r"GR1348941[A-Za-z0-9_-]{16,}+"),
    # Slack: "Token types", "Sending messages using incoming webhooks".
    _rule(
        "slack-token",
        "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- xoxc- xoxd- xoxe. xapp- xwfp-",
        r"(?:xox[abcdeoprs][-.]|xapp-|xwfp-)[A-Za-z0-9%.-]{10,}+",
    ),
    _rule(
        "webhook",
        "hooks.slack.com/ hooks.slack-gov.com/",
        r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/([A-Za-z0-9/_-]{16,}+)",
    ),
    # Microsoft Teams: "Create incoming webhooks"; Discord: "Webhook resource"; Zapier, PagerDuty.
    _rule(
        "webhook",
        "/webhookb2/ /api/webhooks/ /hooks/catch/ pagerduty.com/integration/ webhook.office.com/",
        r"(?:/webhookb2/|/api/webhooks/|/hooks/catch/|webhook\.office\.com/webhook/"
        r"|pagerduty\.com/integration/)([A-Za-z0-9@/_-]{10,}+)",
    ),
    _rule("telegram-token", ":AA", r"(?<![0-9A-Za-z])[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}+"),
    _rule(
        "discord-token",
        ".G .X .Y .Z",
        rf"{_WORD}[MNO][A-Za-z0-9]{{23,27}}\.[GXYZ][A-Za-z0-9_-]{{5}}\.[A-Za-z0-9_-]{{27,}}+",
    ),
    # Stripe: "API keys", "Check the webhook signatures"; publishable keys are public.
    _rule(
        "stripe-key",
        "sk_live_ sk_test_ rk_live_ rk_test_",
        rf"{_WORD}[sr]k_(?:live|test)_[A-Za-z0-9]{{10,}}+",
    ),
    _rule("webhook-secret", "whsec_", r"whsec_[A-Za-z0-9+/]{20,}+=*+"),
    # Twilio: "API keys"; SendGrid: "API keys"; Mailgun, Mailchimp, Brevo: "API keys".
    _rule("twilio-key", "SK", rf"SK(?<![A-Za-z0-9]SK){_HEX}{{32}}(?![A-Za-z0-9])"),
    _rule("sendgrid-key", "SG.", rf"{_WORD}SG\.[A-Za-z0-9_-]{{16,}}+\.[A-Za-z0-9_-]{{32,}}+"),
    _rule("mailgun-key", "key-", rf"key-(?<![A-Za-z0-9-]key-){_HEX}{{32}}(?![A-Za-z0-9])"),
    _rule(
        "mailchimp-key",
        "-us1 -us2 -us3 -us4 -us5 -us6 -us7 -us8 -us9",
        rf"(?<![0-9A-Za-z]){_HEX}{{32}}-us[0-9]{{1,2}}\b",
    ),
    _rule("brevo-key", "xkeysib- xsmtpsib-", rf"x(?:key|smtp)sib-{_HEX}{{64}}-[A-Za-z0-9]{{16,}}+"),
    # npm: "About access tokens"; PyPI: API tokens are macaroons of pypi.org or test.pypi.org;
    # RubyGems: "API key scopes"; crates.io; Docker: "Personal access tokens"; NuGet; JFrog.
    _rule("package-registry-token", "npm_", rf"{_WORD}npm_[A-Za-z0-9]{{36,}}+"),
    _rule("package-registry-token", "pypi-AgE", r"pypi-AgE[A-Za-z0-9_-]{50,}+"),
    _rule("package-registry-token", "rubygems_", rf"rubygems_{_HEX}{{48}}"),
    _rule("package-registry-token", "oy2", rf"{_WORD}oy2[a-z0-9]{{43}}(?![A-Za-z0-9])"),
    _rule("package-registry-token", "dckr_", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}+"),
    _rule(
        "package-registry-token",
        "AKCp cmVmdGtu",
        rf"{_WORD}(?:AKCp[A-Za-z0-9]{{60,}}+|cmVmdGtu[A-Za-z0-9]{{50,}}+)",
    ),
    # Monitoring. New Relic: "API keys"; Grafana: "Service account tokens"; Sentry: "Auth tokens";
    # Dynatrace: "Access tokens and OAuth clients"; Sonar: "Generating and using tokens".
    _rule("newrelic-key", "NRAK- NRII- NRRA- NRBR-", r"NR(?:AK|II|RA|BR)-[A-Za-z0-9_-]{20,}+"),
    _rule("newrelic-key", "NRAL", r"(?<![0-9A-Za-z])[0-9a-zA-Z]{36}NRAL\b"),
    _rule("grafana-token", "glsa_ glc_", r"gl(?:sa|c)_[A-Za-z0-9_+/]{20,}+=*+"),
    _rule("grafana-token", "eyJrIjoi", r"eyJrIjoi[A-Za-z0-9+/_-]{20,}+=*+"),
    _rule("sentry-token", "sntrys_ sntryu_ sntrya_", r"sntry[sua]_[A-Za-z0-9_+/=-]{20,}+"),
    _rule(
        "dynatrace-token", "dt0", rf"{_WORD}dt0[a-z][0-9]{{2}}\.[A-Z2-7]{{8,}}+\.[A-Z2-7]{{60,}}+"
    ),
    _rule("sonar-token", "squ_ sqp_ sqa_", rf"{_WORD}sq[upa]_{_HEX}{{40}}"),
    # HashiCorp: "Vault tokens"; "API tokens" of HCP Terraform.
    _rule("vault-token", "hvs. hvb. hvr.", r"hv[sbr]\.[A-Za-z0-9_-]{20,}+"),
    _rule(
        "terraform-token",
        ".atlasv1.",
        r"(?<![A-Za-z0-9])[A-Za-z0-9]{14,32}+\.atlasv1\.[A-Za-z0-9_=-]{40,}+",
    ),
    _rule("tfaudit-token", "tfa_", rf"{_WORD}tfa_[A-Za-z0-9_-]{{20,}}+"),
    # Platforms, each "API tokens" or "Personal access tokens" in the vendor's documentation.
    _rule(
        "databricks-token", "dapi dkea dose", rf"{_WORD}(?:dapi|dkea|dose){_HEX}{{32,}}+(?:-[0-9])?"
    ),
    _rule("digitalocean-token", "dop_v1_ doo_v1_ dor_v1_", rf"do[por]_v1_{_HEX}{{40,}}+"),
    _rule("heroku-key", "HRKU-", r"HRKU-[A-Za-z0-9_-]{30,}+"),
    _rule(
        "atlassian-token",
        "ATATT3 ATCTT3 ATBB ATSTT3",
        rf"{_WORD}(?:AT[ACS]TT3[A-Za-z0-9_=-]{{40,}}+|ATBB[A-Za-z0-9_=-]{{24,}}+)",
    ),
    _rule("shopify-token", "shpat_ shpca_ shppa_ shpss_", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32,}+"),
    _rule("square-token", "sq0", r"sq0[a-z]{3}-[A-Za-z0-9_-]{20,}+"),
    _rule("square-token", "EAAA", rf"{_WORD}EAAA[A-Za-z0-9_-]{{56,}}+"),
    _rule("openai-key", "T3BlbkFJ", r"sk-[A-Za-z0-9_-]{20,}+"),
    _rule("ai-key", "sk-", r"sk-(?<![A-Za-z0-9_-]sk-)[A-Za-z0-9_-]{32,}+"),
    _rule("ai-key", "gsk_ xai- pplx- r8_", rf"{_WORD}(?:gsk_|xai-|pplx-|r8_)[A-Za-z0-9]{{36,}}+"),
    _rule("huggingface-token", "hf_ api_org_", rf"{_WORD}(?:hf_|api_org_)[A-Za-z0-9]{{30,}}+"),
    _rule("1password-token", "ops_eyJ", r"ops_eyJ[A-Za-z0-9+/_-]{100,}+=*+"),
    _rule(
        "1password-token",
        "A3-",
        rf"{_WORD}A3-[A-Z0-9]{{6}}-(?:[A-Z0-9]{{11}}|[A-Z0-9]{{6}}-[A-Z0-9]{{5}})(?:-[A-Z0-9]{{5}}){{3}}",
    ),
    _rule("tailscale-key", "tskey-", r"tskey-[a-z]+-[A-Za-z0-9_-]{10,}+"),
    _rule("planetscale-token", "pscale_", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{30,}+"),
    _rule(
        "doppler-token",
        "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.",
        rf"{_WORD}dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[A-Za-z0-9_-]{{1,40}}+\.)?[A-Za-z0-9]{{40,}}+",
    ),
    _rule("pulumi-token", "pul-", rf"{_WORD}pul-{_HEX}{{40}}"),
    _rule(
        "fly-token", "fm1r_ fm2_ fo1_", rf"{_WORD}(?:fm1[ar]_|fm2_|fo1_)[A-Za-z0-9+/_-]{{40,}}+=*+"
    ),
    _rule("supabase-key", "sbp_ sb_secret_", r"(?:sbp_[0-9a-f]{40}|sb_secret_[A-Za-z0-9_-]{20,}+)"),
    _rule("cloudflare-key", "v1.0-", rf"{_WORD}v1\.0-{_HEX}{{24}}-{_HEX}{{146}}"),
    _rule("ci-token", "CCIPAT_ CCIPRJ_ bkua_", r"(?:CCI(?:PAT|PRJ)_|bkua_)[A-Za-z0-9_]{30,}+"),
    _rule("linear-key", "lin_api_ lin_oauth_", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}+"),
    _rule("figma-token", "figd_ figu_", r"fig[du]_[A-Za-z0-9_-]{30,}+"),
    _rule("postman-key", "PMAK-", rf"PMAK-{_HEX}{{24}}-{_HEX}{{34}}"),
    _rule("notion-token", "ntn_ secret_", rf"{_WORD}(?:ntn_|secret_)[A-Za-z0-9]{{40,}}+"),
    _rule("airtable-token", "pat", rf"pat(?<![A-Za-z0-9]pat)[A-Za-z0-9]{{14}}\.{_HEX}{{64}}"),
    _rule("sourcegraph-token", "sgp_", rf"{_WORD}sgp_(?:[0-9a-z]{{16}}_|local_)?{_HEX}{{40}}"),
    _rule(
        "launchdarkly-key",
        "sdk-",
        rf"sdk-(?<![A-Za-z0-9]sdk-){_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}",
    ),
    # FiloSottile/age: "age-keygen".
    _rule("age-key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{50,}+"),
    # crypt(5); PHC string format; Apache "Password formats"; PostgreSQL "pg_authid"; OpenLDAP.
    _rule(
        "password-hash",
        "$2a$ $2b$ $2x$ $2y$",
        r"\$2[abxy]\$[0-9]{2}\$[./A-Za-z0-9]{40,}+",
    ),
    _rule(
        "password-hash",
        "$1$ $5$ $6$ $7$ $y$ $gy$ $apr1$ $argon2 $scrypt $pbkdf2 $sha1$ $8$ $9$",
        r"\$(?:[156789]|y|gy|apr1|sha1|argon2(?:id?|d)|scrypt|pbkdf2[a-z0-9-]*)\$[./A-Za-z0-9$=,+-]{20,}+",
    ),
    _rule(
        "password-hash",
        "SCRAM-SHA-256$ pbkdf2_sha256$ pbkdf2_sha1$ pbkdf2:sha scrypt:",
        r"(?:SCRAM-SHA-256\$|pbkdf2_sha(?:1|256)\$|pbkdf2:sha[0-9]{1,3}:|scrypt:)"
        r"[0-9][A-Za-z0-9$:+/=.]{30,}+",
    ),
    _rule(
        "password-hash",
        "{SSHA {SHA {SMD5} {CRYPT} {PBKDF2",
        r"\{(?:S?SHA(?:256|384|512)?|SMD5|CRYPT|PBKDF2[A-Z0-9-]*)\}[A-Za-z0-9+/$.]{16,}+=*+",
    ),
    Rule("url-password", ("://",), _url_passwords),
    # github.com/go-sql-driver/mysql, "DSN (Data Source Name)".
    _rule(
        "url-password",
        "@tcp( @unix(",
        r"(?<![^\s\"'=])[\w.%-]{0,64}+:([^\s\"']{1,256})@(?:tcp|unix)\(",
    ),
    Rule("authorization-header", ("Basic ", "basic "), _basic_credentials),
    # RFC 6750 section 2.1; the others: Okta, Opsgenie and Splunk HEC documentation.
    Rule(
        "authorization-header",
        ("Bearer ", "bearer ", "SSWS ", "GenieKey ", "Splunk "),
        _shape(
            r"(?:[Bb]earer|SSWS|GenieKey|Splunk) "
            r"(?=[A-Za-z._~+/-]{0,99}[0-9])([A-Za-z0-9._~+/-]{16,}+=*+)"
        ),
    ),
)
"""Every shape. Where matches overlap, the first of the table names the kind."""

_BY_LITERAL: Final[Mapping[str, tuple[int, ...]]] = {
    literal: tuple(n for n, rule in enumerate(RULES) if literal in rule.literals)
    for rule in RULES
    for literal in rule.literals
}
_LITERALS: Final = tuple(_BY_LITERAL)
_RULES_OF: Final = tuple(_BY_LITERAL.values())
_find_literals: Final = AhoCorasick(_LITERALS).find_matches_as_indexes

_LONG: Final = 65_536
"""Characters from which on each literal is looked for by itself, not to list every place."""


def possible_rules(text: str) -> list[Rule]:
    """The rules of which a literal stands in a text, in the table's order; mostly none."""
    if len(text) > _LONG:
        numbers = {n for literal in _LITERALS if literal in text for n in _BY_LITERAL[literal]}
    else:
        try:
            places = _find_literals(text, overlapping=True)
        except UnicodeEncodeError:  # a lone surrogate; "?" is one character too
            places = _find_literals(text.encode("utf-8", "replace").decode(), overlapping=True)
        if not places:
            return []
        numbers = {n for place in places for n in _RULES_OF[place[0]]}
    return [RULES[n] for n in sorted(numbers)]
