"""Finds secrets by their own shape, whatever their attribute is called.

Names and marks find the rest: nobody can see from a database's password that it is one.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from proxy.tfstate.credentials import Span, possible_rules, public_blocks
from proxy.tfstate.entropy import RANDOM, SHORTEST, expects_random, random_runs, score
from proxy.tfstate.public import is_public, is_reference

__all__ = ["KINDS", "Hit", "find", "is_public", "is_random", "is_reference"]

HIGH_ENTROPY: Final = "high-entropy"

KINDS: Final[Mapping[str, str]] = {
    "private-key": "a private key: PEM (encrypted, cut, in base64 or one line too), DER, PuTTY",
    "jwt": "a JSON Web Token, signed or encrypted",
    "aws-session-token": "a session token of AWS STS",
    "aws-bedrock-key": "an API key of Amazon Bedrock",
    "signed-url": "the signature or the session token in a presigned URL of AWS or Google Cloud",
    "azure-sas": "the signature of an Azure shared access signature, in a URL or by itself",
    "azure-connection-string": "the key in a connection string of an Azure service",
    "azure-key": "an access key of an Azure service that carries Microsoft's mark",
    "azure-client-secret": "a client secret of Microsoft Entra ID",
    "google-api-key": "an API key of Google Cloud",
    "google-oauth": "a client secret, access token or refresh token of Google OAuth",
    "github-token": "a token of GitHub: personal, fine-grained, OAuth, app or refresh",
    "gitlab-token": "a token of GitLab: personal, project, deploy, runner, CI, feed and so on",
    "slack-token": "a token of Slack: bot, user, app, configuration or session",
    "webhook": "the secret path of a webhook: Slack, Teams, Discord, Zapier, PagerDuty",
    "telegram-token": "a bot token of Telegram",
    "discord-token": "a bot token of Discord",
    "stripe-key": "a secret or restricted key of Stripe",
    "webhook-secret": "a signing secret of webhooks, as Stripe and Svix draw them",
    "twilio-key": "an API key of Twilio",
    "sendgrid-key": "an API key of SendGrid",
    "mailgun-key": "an API key of Mailgun",
    "mailchimp-key": "an API key of Mailchimp",
    "brevo-key": "an API or SMTP key of Brevo",
    "package-registry-token": "a token of npm, PyPI, RubyGems, NuGet, Docker Hub or JFrog",
    "newrelic-key": "a user, license or insert key of New Relic",
    "grafana-token": "a service account, cloud or API key of Grafana",
    "sentry-token": "an auth token of Sentry",
    "dynatrace-token": "a token of Dynatrace",
    "sonar-token": "a token of SonarQube",
    "vault-token": "a service, batch or recovery token of HashiCorp Vault",
    "terraform-token": "an API token of HCP Terraform",
    "tfaudit-token": "a token of tfaudit itself",
    "databricks-token": "a token of Databricks",
    "digitalocean-token": "a personal, OAuth or refresh token of DigitalOcean",
    "heroku-key": "an API key of Heroku",
    "atlassian-token": "an API token of Atlassian or an app password of Bitbucket",
    "shopify-token": "an access token or shared secret of Shopify",
    "square-token": "an access token or secret of Square",
    "openai-key": "an API key of OpenAI",
    "ai-key": "an API key of Anthropic, Groq, xAI, Perplexity, Replicate, OpenRouter or alike",
    "huggingface-token": "a token of Hugging Face",
    "1password-token": "a service account token or secret key of 1Password",
    "tailscale-key": "an auth, API or OAuth key of Tailscale",
    "planetscale-token": "a token or database password of PlanetScale",
    "doppler-token": "a token of Doppler",
    "pulumi-token": "an access token of Pulumi",
    "fly-token": "a token of Fly.io",
    "supabase-key": "an access token or secret key of Supabase",
    "cloudflare-key": "an origin CA key of Cloudflare",
    "ci-token": "a token of CircleCI or Buildkite",
    "linear-key": "an API key of Linear",
    "figma-token": "a token of Figma",
    "postman-key": "an API key of Postman",
    "notion-token": "an integration token of Notion",
    "airtable-token": "a personal access token of Airtable",
    "sourcegraph-token": "an access token of Sourcegraph",
    "launchdarkly-key": "an SDK key of LaunchDarkly",
    "age-key": "a secret key of age",
    "password-hash": "a hashed password: crypt, bcrypt, Argon2, scrypt, PBKDF2, SCRAM, LDAP",
    "url-password": "the password, or a token in its place, in a URL or a MySQL DSN",
    "authorization-header": "the credentials of an HTTP Authorization header",
    HIGH_ENTROPY: "20 or more characters of base64 that look drawn at random, under a name that "
    "does not explain them: secret keys of AWS, keys of Azure and WireGuard, generated passwords",
}
"""What each kind of hit is, in one sentence."""


class Hit(NamedTuple):
    """A secret inside a text: its place as indexes of the str, and its kind from `KINDS`."""

    start: int
    end: int
    kind: str


def find(text: str, name: str = "") -> list[Hit]:
    """All secrets in a text that give themselves away, apart from each other, in order.

    Args:
        text: any str, also with lone surrogates; the time is linear in its length.
        name: the leaf attribute's name; under some of them random text is harmless.
    """
    hits = [
        Hit(start, end, rule.kind)
        for rule in possible_rules(text)
        for start, end in rule.spans(text)
        if start < end
    ]
    if len(text) >= SHORTEST and text != text.lower() and not (name and expects_random(name)):
        hits.extend(Hit(start, end, HIGH_ENTROPY) for start, end in random_runs(text))
    return _apart(text, hits) if hits else hits


def _apart(text: str, hits: list[Hit]) -> list[Hit]:
    """Hits without those inside public keys; of those that overlap, the first gives its kind."""
    public = public_blocks(text)
    if public:
        hits = [hit for hit in hits if not _inside(hit, public)]
    if len(hits) < 2:
        return hits
    apart: list[Hit] = []
    rank = -1
    for order, hit in sorted(enumerate(hits), key=lambda item: (item[1].start, item[0])):
        if apart and hit.start < apart[-1].end:
            last = apart[-1]
            kind = hit.kind if order < rank else last.kind
            apart[-1] = Hit(last.start, max(last.end, hit.end), kind)
            rank = min(rank, order)
        else:
            apart.append(hit)
            rank = order
    return apart


def _inside(hit: Hit, blocks: Sequence[Span]) -> bool:
    """Whether a hit lies in one of some ascending, separate blocks."""
    number = bisect_right(blocks, hit.start, key=itemgetter(0)) - 1
    return number >= 0 and hit.end <= blocks[number][1]


_SHORTEST_KEY: Final = 16
_KEY: Final = re.compile(r"[A-Za-z0-9+/=_!@#$%^&*.~-]{16,400}")


def is_random(text: str) -> bool:
    """Whether a key of a map or a `for_each` looks drawn at random, as no given name does."""
    return (
        len(text) >= _SHORTEST_KEY
        and _KEY.fullmatch(text) is not None
        and score(text) >= RANDOM
        and not is_reference(text)
    )
