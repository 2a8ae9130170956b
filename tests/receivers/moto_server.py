"""Moto's server, with the targets of EventBridge that it lacks: SNS, Step Functions and Lambda.

Moto's own rules decide whether an event matches. A Lambda is not run: what it would get is written
into its log group, as it would write itself.
"""

import copy
import json
import sys
import uuid
from typing import Any

from moto.core.config import default_user_config
from moto.core.utils import unix_time_millis
from moto.events.models import Rule
from moto.events.utils import EventTemplateParser
from moto.logs.models import logs_backends
from moto.server import main
from moto.sns.models import sns_backends
from moto.stepfunctions.models import stepfunctions_backends
from moto.stepfunctions.responses import StepFunctionResponse
from moto.utilities.arns import parse_arn

_own = Rule.send_to_targets


def _send(rule: Rule, event: Any, transform_input: bool = True) -> None:
    if not rule.event_pattern.matches_event(event):
        return
    others = copy.copy(rule)
    others.targets = []
    for target in rule.targets:
        arn = parse_arn(target["Arn"])
        content = json.dumps(_transformed(target, event))
        if arn.service == "sns":
            sns_backends[arn.account][arn.region].publish(content, arn=target["Arn"])
        elif arn.service == "states":
            stepfunctions_backends[arn.account][arn.region].start_execution(
                target["Arn"], str(uuid.uuid4()), content
            )
        elif arn.service == "lambda":
            logs, group = logs_backends[arn.account][arn.region], f"/aws/lambda/{arn.resource_id}"
            stream = str(uuid.uuid4())
            logs.create_log_stream(group, stream)
            line = {"timestamp": unix_time_millis(), "message": content}
            logs.put_log_events(group, stream, [line])
        else:
            others.targets.append(target)
    _own(others, event, transform_input)


def _transformed(target: dict[str, Any], event: Any) -> Any:
    transformer = target.get("InputTransformer", {})
    return EventTemplateParser.parse(
        input_template=transformer.get("InputTemplate"),
        input_paths_map=transformer.get("InputPathsMap", {}),
        event=copy.deepcopy(event),
    )


def _validate(self: StepFunctionResponse) -> str:
    """Take every definition; the provider asks before it plans one."""
    json.loads(self._get_param("definition"))
    return json.dumps({"result": "OK", "diagnostics": []})


def _versions(_: StepFunctionResponse) -> str:
    """Tell that a state machine has no versions, which moto does not keep."""
    return json.dumps({"stateMachineVersions": []})


if __name__ == "__main__":
    rules: Any = Rule
    rules.send_to_targets = _send
    steps: Any = StepFunctionResponse
    steps.validate_state_machine_definition = _validate
    steps.list_state_machine_versions = _versions
    default_user_config["lambda"] = {"use_docker": False}
    main(sys.argv[1:])
