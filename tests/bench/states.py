"""States to measure with: one of 5 KB as a template, and one of 50 MB."""

import json
from collections.abc import Mapping

LINEAGE = "00000000-0000-4000-8000-000000000000"
_RESOURCES = 6


def template() -> str:
    """Return a state of about 5 KB as Terraform writes it, with places to fill in.

    ``@SERIAL@``, ``@LINEAGE@`` and, one attribute of each of the six resources, ``@0@`` … ``@5@``.
    """
    text = _render([instance(number, f"@{number}@", 1) for number in range(_RESOURCES)])
    return text.replace('"@SERIAL@"', "@SERIAL@")


def small(serial: int) -> bytes:
    """Return the state of 5 KB."""
    values = {str(number): f"{serial:032}" for number in range(_RESOURCES)}
    return _fill({"SERIAL": str(serial), "LINEAGE": LINEAGE} | values)


def large(serial: int, changed: str, *, resources: int) -> bytes:
    """Return a state with so many resources of about 10 KB each.

    Args:
        serial: of the state.
        changed: value of one attribute of one resource, the one in the middle.
        resources: how many; 5,000 make about 50 MB.
    """
    text = _render(
        [
            instance(number, changed if number == resources // 2 else "unchanged", 91)
            for number in range(resources)
        ]
    )
    return text.replace('"@SERIAL@"', str(serial)).replace("@LINEAGE@", LINEAGE).encode()


def _fill(values: Mapping[str, str]) -> bytes:
    text = template()
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text.encode()


def _render(resources: list[dict[str, object]]) -> str:
    state = {
        "version": 4,
        "terraform_version": "1.11.4",
        "serial": "@SERIAL@",
        "lineage": "@LINEAGE@",
        "outputs": {"address": {"value": "10.0.12.7", "type": "string"}},
        "resources": resources,
        "check_results": None,
    }
    return json.dumps(state, indent=2) + "\n"


def instance(number: int, value: str, rules: int) -> dict[str, object]:
    """Return a resource without secrets; each rule takes about 50 bytes."""
    attributes = {
        "id": f"sg-{number:017x}",
        "arn": f"arn:aws:ec2:eu-central-1:123456789012:security-group/sg-{number:017x}",
        "description": value,
        "ingress": [
            {"cidr": f"10.{number % 256}.{rule}.0/24", "port": 8000 + rule} for rule in range(rules)
        ],
        "name": f"service-{number}",
        "tags": {"Environment": "production", "Team": "platform"},
    }
    return {
        "mode": "managed",
        "type": "aws_security_group",
        "name": f"service_{number}",
        "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
        "instances": [{"schema_version": 1, "attributes": attributes, "sensitive_attributes": []}],
    }
