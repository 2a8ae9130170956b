"""Runs after each run that was completed in production: writes down what it changed.

Put here what your team wants to happen then: smoke tests, a mark in a dashboard, a ticket.
"""

import json


def handler(event: dict, context: object) -> dict:
    """Answer to one event of EventBridge, which may come twice: go by ``detail.id``."""
    detail = event["detail"]
    told = {
        "id": detail["id"],
        "index": detail["evidence"]["index"],
        "workspace": detail["workspace"],
        "who": detail["actor"]["name"],
        "message": detail["message"],
        "run": detail.get("run", {}),
    }
    print(json.dumps(told))
    return told
