"""What people get wrong in YAML: each mistake is told with its place and the way out.

No mistake gives a traceback, and none is silently accepted. The table: what the mistake is, the file, the code of the
problem, its line and column, and a piece of what is said. More of them, by what they are about, are in
``mistakes/*.yaml``; what AWS would take, and people would regret, is a warning there.
"""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from reconciler.checks import environment
from reconciler.config import loader
from reconciler.kinds import discover
from reconciler.model.problems import Problems

MISTAKES = [
    (
        "tab",
        "environment: t\njobQueues:\n\tq: {}\n",
        "yaml-syntax",
        "3:1",
        "use spaces",
    ),
    (
        "no space after colon",
        """\
environment: t
jobQueues:
  q:
    priority:1
    state: ENABLED
""",
        "yaml-syntax",
        "5:10",
        "the indentation is off, or",
    ),
    (
        "colon in a value",
        """\
environment: t
roles:
  r:
    trust: [ec2.amazonaws.com]
    description: note: this
""",
        "yaml-syntax",
        "5:22",
        "the indentation is off, or",
    ),
    (
        "bad indentation",
        """\
environment: t
jobQueues:
  q:
    priority: 1
   state: ENABLED
""",
        "yaml-syntax",
        "5:4",
        "mostly the indentation (members of",
    ),
    (
        "unclosed quote",
        """\
environment: t
jobQueues:
  q:
    state: "ENABLED
""",
        "yaml-syntax",
        "4:12",
        "close it",
    ),
    (
        "unclosed bracket",
        """\
environment: t
computeEnvironments:
  c:
    computeResources:
      subnets: [subnet-1, subnet-2
""",
        "yaml-syntax",
        "6:1",
        "it was opened at env.yaml:5:16:",
    ),
    (
        "star unquoted",
        """\
environment: t
roles:
  r:
    trust: *
""",
        "yaml-syntax",
        "4:13",
        'write it in quotes: "*"',
    ),
    (
        "star name",
        """\
environment: t
roles:
  r:
    description: *all
""",
        "unknown-anchor",
        "4:18",
        "for the text itself write",
    ),
    (
        "percent unquoted",
        """\
environment: t
roles:
  r:
    description: %d
""",
        "yaml-syntax",
        "4:18",
        "text with special characters is",
    ),
    (
        "at unquoted",
        """\
environment: t
roles:
  r:
    description: @me
""",
        "yaml-syntax",
        "4:18",
        "text with special characters is",
    ),
    (
        "backtick",
        """\
environment: t
roles:
  r:
    description: `date`
""",
        "yaml-syntax",
        "4:18",
        "text with special characters is",
    ),
    (
        "escape",
        'environment: t\nroles:\n  r:\n    description: "\\d+"\n',
        "yaml-syntax",
        "4:20",
        "in '...' a \\ is",
    ),
    (
        "duplicate key",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    priority: 2
""",
        "duplicate-key",
        "5:5",
        "the first one is at",
    ),
    (
        "duplicate resource",
        """\
environment: t
jobQueues:
  q: {priority: 1}
  q: {priority: 2}
""",
        "duplicate-key",
        "4:3",
        "the first one is at",
    ),
    (
        "duplicate section",
        """\
environment: t
jobQueues:
  q: {priority: 1}
jobQueues:
  r: {priority: 2}
""",
        "duplicate-key",
        "4:1",
        "the first one is at",
    ),
    (
        "python tag",
        """\
environment: t
roles:
  r: !!python/object/apply:os.system [ls]
""",
        "yaml-tag",
        "3:6",
        "write the value without it;",
    ),
    (
        "Ref",
        """\
environment: t
jobQueues:
  q:
    priority: !Ref Priority
""",
        "yaml-tag",
        "4:15",
        "write ${section.name.name}, ${var.name} or ${region}",
    ),
    (
        "Sub",
        """\
environment: t
roles:
  r:
    description: !Sub 'x-${AWS::Region}'
""",
        "yaml-tag",
        "4:18",
        "${...} works in every text;",
    ),
    (
        "two documents",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
---
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
""",
        "multiple-documents",
        "7:1",
        "put the second document into",
    ),
    (
        "non-string key",
        """\
environment: t
roles:
  r:
    trust: [ec2.amazonaws.com]
    tags: {1: x}
""",
        "invalid-key",
        "5:12",
        'write it in quotes: "1"',
    ),
    (
        "true as key",
        """\
environment: t
roles:
  r:
    trust: [ec2.amazonaws.com]
    tags: {true: x}
""",
        "invalid-key",
        "5:12",
        'write it in quotes: "true"',
    ),
    (
        "jinja",
        """\
environment: t
jobQueues:
  q:
    priority: {{ priority }}
""",
        "invalid-key",
        "4:16",
        "a variable is written ${var.name};",
    ),
    (
        "list at top",
        """\
- jobQueues
""",
        "wrong-type",
        "1:1",
        "at the top stand settings",
    ),
    (
        "text at top",
        """\
jobQueues
""",
        "wrong-type",
        "1:1",
        "at the top stand settings",
    ),
    (
        "recursive alias",
        """\
environment: t
roles: &r
  x: *r
""",
        "unknown-anchor",
        "3:6",
        "an anchor can be used",
    ),
    (
        "merge of a text",
        """\
environment: t
roles:
  r:
    <<: base
    trust: [ec2.amazonaws.com]
""",
        "invalid-merge",
        "4:5",
        "as in <<: *base",
    ),
    (
        "control character",
        'environment: t\nroles:\n  r: {description: "a\x07b"}\n',
        "yaml-syntax",
        "3:22",
        "remove it, or write it",
    ),
    (
        "list item on the key's line",
        """\
environment: t
roles:
  r:
    trust: - ec2.amazonaws.com
""",
        "yaml-syntax",
        "4:12",
        "put - on a line",
    ),
    (
        "quote inside quotes",
        """\
environment: t
roles:
  r:
    description: "say "hi""
""",
        "yaml-syntax",
        "4:24",
        "mostly the indentation (members of",
    ),
    (
        "list and mapping mixed",
        """\
environment: t
roles:
  r:
    trust:
      - ec2.amazonaws.com
      path: /x/
""",
        "yaml-syntax",
        "6:7",
        "mostly the indentation (members of",
    ),
    (
        "expression in braces unquoted",
        """\
environment: t
roles:
  r: {description: ${var.x}, path: /a/}
""",
        "yaml-syntax",
        "3:21",
        "it was opened at env.yaml:3:6:",
    ),
    (
        "no name",
        """\
region: eu-west-1
""",
        "missing-field",
        "1:1",
        "give it one: environment: my-name",
    ),
    (
        "name misspelt",
        """\
enviroment: t
""",
        "unknown-section",
        "1:1",
        'did you mean "environment"?',
    ),
    (
        "name in capitals",
        """\
environment: Prod
""",
        "invalid-value",
        "1:1",
        "a-z, 0-9 and hyphens, at",
    ),
    (
        "name with underscore",
        """\
environment: my_env
""",
        "invalid-value",
        "1:1",
        "a-z, 0-9 and hyphens, at",
    ),
    (
        "name empty",
        """\
environment: ''
""",
        "invalid-value",
        "1:1",
        "a-z, 0-9 and hyphens, at",
    ),
    (
        "name a number",
        """\
environment: 12
""",
        "wrong-type",
        "1:1",
        'write it in quotes: "12"',
    ),
    (
        "name an expression",
        """\
environment: "${env:NAME}"
""",
        "bad-expression",
        "1:1",
        "write the name as it",
    ),
    (
        "account unquoted",
        """\
environment: t
account: 123456789012
""",
        "wrong-type",
        "2:1",
        'write it in quotes: "123456789012"',
    ),
    (
        "account octal looking short",
        """\
environment: t
account: "12345"
""",
        "invalid-value",
        "2:1",
        "an account has twelve digits",
    ),
    (
        "region misspelt",
        """\
environment: t
region: eu_west_1
""",
        "invalid-value",
        "2:1",
        "a Region looks like eu-west-1",
    ),
    (
        "region a zone",
        """\
environment: t
region: eu-west-1a
""",
        "invalid-value",
        "2:1",
        "a Region looks like eu-west-1",
    ),
    (
        "role not an arn",
        """\
environment: t
roleArn: deploy
""",
        "invalid-value",
        "2:1",
        "the ARN of a role",
    ),
    (
        "variables a list",
        """\
environment: t
variables: [a, b]
""",
        "wrong-type",
        "2:1",
        "write its members without the",
    ),
    (
        "variables name value list",
        """\
environment: t
variables:
  - {name: a, value: b}
""",
        "wrong-type",
        "2:1",
        "write its members without the",
    ),
    (
        "tags a list",
        """\
environment: t
tags:
  - {Key: team, Value: hpc}
""",
        "wrong-type",
        "2:1",
        "write a mapping, key: value,",
    ),
    (
        "tag a number",
        """\
environment: t
tags: {cost: 42}
""",
        "wrong-type",
        "2:8",
        'write it in quotes: "42"',
    ),
    (
        "tag a boolean",
        """\
environment: t
tags: {prod: true}
""",
        "wrong-type",
        "2:8",
        'write it in quotes: "true"',
    ),
    (
        "ignoreTags a text",
        """\
environment: t
ignoreTags: auto:*
""",
        "wrong-type",
        "2:1",
        "write it as a list:",
    ),
    (
        "unknown setting",
        """\
environment: t
regoin: eu-west-1
""",
        "unknown-section",
        "2:1",
        'did you mean "region"?',
    ),
    (
        "defaults of an unknown section",
        """\
environment: t
defaults:
  jobDefinition: {timeout: {attemptDurationSeconds: 60}}
""",
        "unknown-section",
        "3:3",
        'did you mean "jobDefinitions"?',
    ),
    (
        "defaults of a wrong field",
        """\
environment: t
defaults:
  jobQueues: {prioritty: 3}
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
""",
        "unknown-field",
        "3:15",
        'did you mean "priority"?',
    ),
    (
        "lookup of unknown kind",
        """\
environment: t
lookups:
  v: {vpcs: {default: true}}
""",
        "unknown-field",
        "3:7",
        'did you mean "vpc"?',
    ),
    (
        "lookup with two kinds",
        """\
environment: t
lookups:
  v: {vpc: {default: true}, image: {name: x}}
""",
        "out-of-range",
        "3:3",
        "exactly one of vpc, subnets,",
    ),
    (
        "lookup argument",
        """\
environment: t
lookups:
  v: {vpc: {isDefault: true}}
""",
        "unknown-field",
        "3:13",
        'did you mean "default"?',
    ),
    (
        "lookup without arguments",
        """\
environment: t
lookups:
  v: {vpc: {}}
""",
        "out-of-range",
        "3:7",
        "The id of the one",
    ),
    (
        "lookup a text",
        """\
environment: t
lookups:
  v: vpc
""",
        "wrong-type",
        "3:3",
        "write its members below it:",
    ),
    (
        "lookup unknown",
        """\
environment: t
lookups:
  s: {subnets: {vpcId: "${lookups.vcp}"}}
  vpc: {vpc: {default: true}}
""",
        "unknown-reference",
        "3:3",
        'did you mean "vpc"?',
    ),
    (
        "lookup cycle",
        """\
environment: t
lookups:
  a: {vpc: {vpcId: "${lookups.b}"}}
  b: {vpc: {vpcId: "${lookups.a}"}}
""",
        "lookup-cycle",
        "3:3",
        "one of them has to",
    ),
    (
        "extends nowhere",
        """\
environment: t
extends: ../nowhere
""",
        "unknown-base",
        "2:1",
        "the path is relative to",
    ),
    (
        "unknown section",
        """\
environment: t
jobQueue:
  q: {priority: 1}
""",
        "unknown-section",
        "2:1",
        'did you mean "jobQueues"?',
    ),
    (
        "section in snake case",
        """\
environment: t
job_queues:
  q: {priority: 1}
""",
        "unknown-section",
        "2:1",
        'did you mean "jobQueues"?',
    ),
    (
        "section in capitals",
        """\
environment: t
JobQueues:
  q: {priority: 1}
""",
        "unknown-section",
        "2:1",
        'did you mean "jobQueues"?',
    ),
    (
        "section a list",
        """\
environment: t
jobQueues:
  - jobQueueName: q
    priority: 1
""",
        "wrong-type",
        "2:1",
        "write the resources below it",
    ),
    (
        "resource a list",
        """\
environment: t
jobQueues:
  q:
    - priority: 1
""",
        "wrong-type",
        "3:3",
        "write its properties below it",
    ),
    (
        "resource a text",
        """\
environment: t
jobQueues:
  q: high
""",
        "wrong-type",
        "3:3",
        "write its properties below it",
    ),
    (
        "resource empty",
        """\
environment: t
jobQueues:
  q:
""",
        "empty-resource",
        "3:3",
        "write q: {} for one",
    ),
    (
        "resource not indented",
        """\
environment: t
jobQueues:
q:
  priority: 1
""",
        "unknown-section",
        "3:1",
        "one of computeEnvironments, ",
    ),
    (
        "properties not indented",
        """\
environment: t
jobQueues:
  q:
  priority: 1
""",
        "empty-resource",
        "3:3",
        "write q: {} for one",
    ),
    (
        "resource list instead",
        """\
environment: t
computeEnvironments: [a, b]
""",
        "wrong-type",
        "2:1",
        "write the resources below it",
    ),
    (
        "name with an expression",
        """\
environment: t
variables: {x: y}
jobQueues:
  "${var.x}-q": {priority: 1}
""",
        "bad-expression",
        "4:3",
        "a resource stands under its",
    ),
    (
        "queue name with a space",
        """\
environment: t
jobQueues:
  my queue:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
""",
        "invalid-name",
        "3:3",
        "use letters, digits, - and",
    ),
    (
        "queue name too long",
        "environment: t\njobQueues:\n  qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq:\n    priority: 1\n    computeEnvironmentOrder:\n      - {order: 0, computeEnvironment: c}\n",
        "invalid-name",
        "3:3",
        "use letters, digits, - and",
    ),
    (
        "misspelt field",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrdr:
      - {order: 0, computeEnvironment: c}
""",
        "unknown-field",
        "5:5",
        'did you mean "computeEnvironmentOrder"?',
    ),
    (
        "api case",
        """\
environment: t
jobQueues:
  q:
    Priority: 1
    computeEnvironmentOrder: [{order: 0, computeEnvironment: c}]
""",
        "unknown-field",
        "4:5",
        'did you mean "priority"?',
    ),
    (
        "snake case",
        """\
environment: t
computeEnvironments:
  c:
    type: MANAGED
    computeResources:
      type: FARGATE
      max_vcpus: 16
      subnets: [subnet-0123456789abcdef0]
      securityGroupIds: [sg-0123456789abcdef0]
""",
        "unknown-field",
        "7:7",
        'did you mean "maxvCpus"?',
    ),
    (
        "camel slip",
        """\
environment: t
computeEnvironments:
  c:
    type: MANAGED
    computeResources:
      type: FARGATE
      maxVcpus: 16
      subnets: [subnet-0123456789abcdef0]
      securityGroupIds: [sg-0123456789abcdef0]
""",
        "unknown-field",
        "7:7",
        'did you mean "maxvCpus"?',
    ),
    (
        "field one level up",
        """\
environment: t
computeEnvironments:
  c:
    type: MANAGED
    computeResources:
      type: FARGATE
      maxvCpus: 16
      subnets: [subnet-0123456789abcdef0]
      securityGroupIds: [sg-0123456789abcdef0]
    maxvCpus: 32
""",
        "unknown-field",
        "10:5",
        "it belongs under computeResources",
    ),
    (
        "field one level down",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c, priority: 2}
""",
        "unknown-field",
        "6:43",
        "it belongs one level up",
    ),
    (
        "unknown nested",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      imagePullPolicy: Always
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
""",
        "unknown-field",
        "8:7",
        "one of command, enableExecuteCommand, environment,",
    ),
    (
        "missing priority",
        """\
environment: t
jobQueues:
  q:
    computeEnvironmentOrder: [{order: 0, computeEnvironment: c}]
""",
        "missing-field",
        "3:3",
        "0 to 1000; among queues",
    ),
    (
        "missing type",
        """\
environment: t
jobDefinitions:
  j:
    timeout: {attemptDurationSeconds: 60}
    containerProperties: {image: x, vcpus: 1, memory: 100}
""",
        "missing-field",
        "3:3",
        "container, or multinode together with",
    ),
    (
        "missing order member",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0}
""",
        "missing-field",
        "6:9",
        "Name or ARN of the",
    ),
    (
        "missing in list",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY}
""",
        "missing-field",
        "10:11",
        'The amount, as text: "1",',
    ),
    (
        "number in quotes",
        """\
environment: t
jobQueues:
  q:
    priority: "1"
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
""",
        "wrong-type",
        "4:5",
        "write it without quotes, as",
    ),
    (
        "number with leading zero",
        """\
environment: t
jobQueues:
  q:
    priority: 010
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
""",
        "wrong-type",
        "4:5",
        "write it without quotes, as",
    ),
    (
        "number with underscore",
        """\
environment: t
jobQueues:
  q:
    priority: 1_0
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
""",
        "wrong-type",
        "4:5",
        "write it without quotes, as",
    ),
    (
        "hex",
        """\
environment: t
jobQueues:
  q:
    priority: 0x10
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
""",
        "wrong-type",
        "4:5",
        "0 to 1000; among queues",
    ),
    (
        "fraction",
        """\
environment: t
jobQueues:
  q:
    priority: 1.5
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
""",
        "wrong-type",
        "4:5",
        "write it without a fraction:",
    ),
    (
        "whole fraction",
        """\
environment: t
jobQueues:
  q:
    priority: 1.0
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
""",
        "wrong-type",
        "4:5",
        "write it without a fraction:",
    ),
    (
        "boolean for number",
        """\
environment: t
jobQueues:
  q:
    priority: true
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
""",
        "wrong-type",
        "4:5",
        "0 to 1000; among queues",
    ),
    (
        "empty number",
        """\
environment: t
jobQueues:
  q:
    priority:
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
""",
        "missing-field",
        "3:3",
        "0 to 1000; among queues",
    ),
    (
        "yes for true",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      privileged: yes
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
""",
        "wrong-type",
        "8:7",
        "write true, without quotes",
    ),
    (
        "True for true",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      privileged: True
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
""",
        "wrong-type",
        "8:7",
        "write true, without quotes",
    ),
    (
        "quoted boolean",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      privileged: "true"
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
""",
        "wrong-type",
        "8:7",
        "write true, without quotes",
    ),
    (
        "number for text",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: 1}
        - {type: MEMORY, value: "512"}
""",
        "wrong-type",
        "9:24",
        'write it in quotes: "1"',
    ),
    (
        "environment a mapping",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
      environment: {A: b}
""",
        "wrong-type",
        "11:7",
        "write a list of {name:",
    ),
    (
        "environment value number",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
      environment:
        - {name: A, value: 1}
""",
        "wrong-type",
        "12:21",
        'write it in quotes: "1"',
    ),
    (
        "environment value boolean",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
      environment:
        - {name: A, value: true}
""",
        "wrong-type",
        "12:21",
        'write it in quotes: "true"',
    ),
    (
        "environment Name Value",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
      environment:
        - {Name: A, Value: b}
""",
        "unknown-field",
        "12:12",
        'did you mean "name"?',
    ),
    (
        "environment KEY=value",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
      environment: [A=b]
""",
        "wrong-type",
        "11:21",
        "write its members below it:",
    ),
    (
        "command a text",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
      command: echo hello
""",
        "wrong-type",
        "11:7",
        "write it as a list:",
    ),
    (
        "command number",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
      command: [sleep, 600]
""",
        "wrong-type",
        "11:24",
        'write it in quotes: "600"',
    ),
    (
        "subnets a text",
        """\
environment: t
computeEnvironments:
  c:
    type: MANAGED
    computeResources:
      type: FARGATE
      maxvCpus: 16
      subnets: subnet-0123456789abcdef0
      securityGroupIds: [sg-0123456789abcdef0]
""",
        "wrong-type",
        "8:7",
        "write it as a list:",
    ),
    (
        "resources a list",
        """\
environment: t
computeEnvironments:
  c:
    type: MANAGED
    computeResources:
    - type: FARGATE
      maxvCpus: 16
      subnets: [subnet-0123456789abcdef0]
      securityGroupIds: [sg-0123456789abcdef0]
""",
        "wrong-type",
        "5:5",
        "write its members without the",
    ),
    (
        "order a mapping",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder: {order: 0, computeEnvironment: c}
""",
        "wrong-type",
        "5:5",
        "write a list, each item",
    ),
    (
        "order of names",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder: [c]
""",
        "wrong-type",
        "5:31",
        "write its members below it:",
    ),
    (
        "state lower case",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    state: enabled
""",
        "invalid-value",
        "7:5",
        'did you mean "ENABLED"?',
    ),
    (
        "state boolean",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    state: true
""",
        "wrong-type",
        "7:5",
        "one of DISABLED, ENABLED",
    ),
    (
        "state misspelt",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    state: ENABLE
""",
        "invalid-value",
        "7:5",
        'did you mean "ENABLED"?',
    ),
    (
        "type lower case",
        """\
environment: t
computeEnvironments:
  c:
    type: managed
    computeResources:
      type: FARGATE
      maxvCpus: 16
      subnets: [subnet-0123456789abcdef0]
      securityGroupIds: [sg-0123456789abcdef0]
""",
        "invalid-value",
        "4:5",
        'did you mean "MANAGED"?',
    ),
    (
        "resource type unknown",
        """\
environment: t
computeEnvironments:
  c:
    type: MANAGED
    computeResources:
      type: ONDEMAND
      maxvCpus: 16
      subnets: [subnet-0123456789abcdef0]
      securityGroupIds: [sg-0123456789abcdef0]
""",
        "invalid-value",
        "6:7",
        "one of EC2, ECS_MANAGED_INSTANCES, FARGATE,",
    ),
    (
        "requirement type",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: CPU, value: "1"}
        - {type: MEMORY, value: "512"}
""",
        "invalid-value",
        "9:12",
        'did you mean "VCPU"?',
    ),
    (
        "negative",
        """\
environment: t
jobQueues:
  q:
    priority: -1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
""",
        "invalid-value",
        "4:5",
        "it must be from 0",
    ),
    (
        "attempts too many",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
    retryStrategy: {attempts: 11}
""",
        "invalid-value",
        "11:21",
        "it must be from 1",
    ),
    (
        "attempts zero",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
    retryStrategy: {attempts: 0}
""",
        "invalid-value",
        "11:21",
        "it must be from 1",
    ),
    (
        "timeout too short",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 10}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
""",
        "invalid-value",
        "5:15",
        "60 is the least that",
    ),
    (
        "timeout a number",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: 60
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
""",
        "wrong-type",
        "5:5",
        "write its members below it:",
    ),
    (
        "action misspelt",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
    retryStrategy:
      attempts: 3
      evaluateOnExit: [{action: RETRYY, onExitCode: "1"}]
""",
        "invalid-value",
        "13:25",
        'did you mean "RETRY"?',
    ),
    (
        "exit code a number",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
    retryStrategy:
      attempts: 3
      evaluateOnExit: [{action: RETRY, onExitCode: 1}]
""",
        "wrong-type",
        "13:40",
        'write it in quotes: "1"',
    ),
    (
        "rule without action",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
    retryStrategy:
      attempts: 3
      evaluateOnExit: [{onExitCode: "1"}]
""",
        "missing-field",
        "13:24",
        "RETRY or EXIT, in any",
    ),
    (
        "null in a list",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
      command: [echo, null]
""",
        "wrong-type",
        "11:23",
        "give it a value, or",
    ),
    (
        "empty list item",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
      command:
        - echo
        -
""",
        "wrong-type",
        "13:10",
        "give it a value, or",
    ),
    (
        "resource tag number",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    tags: {cost: 42}
""",
        "wrong-type",
        "7:12",
        'write it in quotes: "42"',
    ),
    (
        "resource tag list",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    tags: [{Key: a, Value: b}]
""",
        "wrong-type",
        "7:5",
        "write a mapping, key: value,",
    ),
    (
        "aws tag",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    tags: {"aws:x": y}
""",
        "invalid-value",
        "7:12",
        "choose another name",
    ),
    (
        "ownership tag",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    tags: {reconciler/environment: y}
""",
        "invalid-value",
        "7:12",
        "choose another name",
    ),
    (
        "too many tags",
        "environment: t\njobQueues:\n  q:\n    priority: 1\n    computeEnvironmentOrder:\n      - {order: 0, computeEnvironment: c}\n    tags: {t0: x, t1: x, t2: x, t3: x, t4: x, t5: x, t6: x, t7: x, t8: x, t9: x, t10: x, t11: x, t12: x, t13: x, t14: x, t15: x, t16: x, t17: x, t18: x, t19: x, t20: x, t21: x, t22: x, t23: x, t24: x, t25: x, t26: x, t27: x, t28: x, t29: x, t30: x, t31: x, t32: x, t33: x, t34: x, t35: x, t36: x, t37: x, t38: x, t39: x, t40: x, t41: x, t42: x, t43: x, t44: x, t45: x, t46: x, t47: x, t48: x}\n",
        "out-of-range",
        "7:5",
        "remove some, here or in",
    ),
    (
        "long tag",
        "environment: t\njobQueues:\n  q:\n    priority: 1\n    computeEnvironmentOrder:\n      - {order: 0, computeEnvironment: c}\n    tags: {a: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}\n",
        "out-of-range",
        "7:12",
        "shorten it",
    ),
    (
        "lifecycle misspelt",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    lifecycle: {preventDestory: true}
""",
        "unknown-field",
        "7:17",
        'did you mean "preventDestroy"?',
    ),
    (
        "lifecycle snake",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    lifecycle: {prevent_destroy: true}
""",
        "unknown-field",
        "7:17",
        'did you mean "preventDestroy"?',
    ),
    (
        "lifecycle text boolean",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    lifecycle: {preventDestroy: yes}
""",
        "wrong-type",
        "7:17",
        "write true, without quotes",
    ),
    (
        "lifecycle terraform's",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    lifecycle: {createBeforeDestroy: true}
""",
        "unknown-field",
        "7:17",
        'did you mean "replace"?',
    ),
    (
        "ignoreChanges unknown",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    lifecycle: {ignoreChanges: [prioritty]}
""",
        "unknown-field",
        "7:33",
        'did you mean "priority"?',
    ),
    (
        "ignoreChanges tags",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    lifecycle: {ignoreChanges: [tags.x]}
""",
        "unknown-field",
        "7:33",
        "tags that others put on",
    ),
    (
        "ignoreChanges a text",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    lifecycle: {ignoreChanges: priority}
""",
        "wrong-type",
        "7:17",
        "write it as a list:",
    ),
    (
        "dependsOn unknown",
        """\
environment: t
roles:
  rolle: {trust: [ec2.amazonaws.com]}
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    lifecycle: {dependsOn: [roles.role]}
""",
        "unknown-reference",
        "9:29",
        'did you mean "rolle"?',
    ),
    (
        "dependsOn no address",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    lifecycle: {dependsOn: [role]}
""",
        "unknown-reference",
        "7:29",
        "as in roles.AWSBatchServiceRole; names with",
    ),
    (
        "dependsOn section",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    lifecycle: {dependsOn: [role.x]}
""",
        "unknown-reference",
        "7:29",
        'did you mean "roles"?',
    ),
    (
        "replace a definition",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties: {image: i, vcpus: 1, memory: 64}
    lifecycle: {replace: create-first}
""",
        "invalid-value",
        "7:17",
        "what cannot be changed in",
    ),
    (
        "replace misspelt",
        """\
environment: t
computeEnvironments:
  c:
    type: MANAGED
    computeResources:
      type: FARGATE
      maxvCpus: 16
      subnets: [subnet-0123456789abcdef0]
      securityGroupIds: [sg-0123456789abcdef0]
    lifecycle: {replace: create_first}
""",
        "invalid-value",
        "10:17",
        'did you mean "create-first"?',
    ),
    (
        "keepRevisions of a queue",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    lifecycle: {keepRevisions: 3}
""",
        "invalid-value",
        "7:17",
        "remove the line",
    ),
    (
        "keepRevisions zero",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
    lifecycle: {keepRevisions: 0}
""",
        "out-of-range",
        "11:17",
        "Job definitions: how many ACTIVE",
    ),
    (
        "lifecycle expression",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
    lifecycle: {preventDestroy: "${lookups.x}"}
lookups: {x: {vpc: {default: true}}}
""",
        "bad-expression",
        "7:17",
        "write a plain value",
    ),
    (
        "unclosed",
        """\
environment: t
roles:
  r: {trust: [ec2.amazonaws.com], description: "${var.x"}
""",
        "bad-expression",
        "3:35",
        "close it, or write $${",
    ),
    (
        "unknown variable",
        """\
environment: t
variables: {team: x}
roles:
  r: {trust: [ec2.amazonaws.com], description: "${var.taem}"}
""",
        "unknown-variable",
        "4:35",
        'did you mean "team"?',
    ),
    (
        "no variables",
        """\
environment: t
roles:
  r: {trust: [ec2.amazonaws.com], description: "${var.team}"}
""",
        "unknown-variable",
        "3:35",
        "declare it under variables: in",
    ),
    (
        "variable cycle",
        """\
environment: t
variables: {a: "${var.b}", b: "${var.a}"}
""",
        "variable-cycle",
        "2:13",
        "give one of them a",
    ),
    (
        "variable itself",
        """\
environment: t
variables: {a: "x${var.a}"}
""",
        "variable-cycle",
        "2:13",
        "give one of them a",
    ),
    (
        "mapping in text",
        """\
environment: t
variables: {m: {a: 1}}
roles:
  r: {trust: [ec2.amazonaws.com], description: "x ${var.m}"}
""",
        "not-text",
        "4:35",
        "alone, as the whole value,",
    ),
    (
        "member of a text",
        """\
environment: t
variables: {m: text}
roles:
  r: {trust: [ec2.amazonaws.com], description: "${var.m.a}"}
""",
        "unknown-variable",
        "4:35",
        "m is no mapping",
    ),
    (
        "iam variable",
        """\
environment: t
policies:
  p:
    policyDocument:
      Statement: [{Effect: Allow, Action: 's3:GetObject', Resource: 'arn:aws:s3:::b/${aws:username}/*'}]
""",
        "bad-expression",
        "5:59",
        "write $${aws:username} for the text",
    ),
    (
        "shell variable",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
      command: [sh, -c, "echo ${HOME}"]
""",
        "bad-expression",
        "11:25",
        "write $${HOME} for the text",
    ),
    (
        "env with a default",
        """\
environment: t
roles:
  r: {trust: [ec2.amazonaws.com], description: "${env:X:-y}"}
""",
        "bad-expression",
        "3:35",
        "as in ${env:NAME}; it takes",
    ),
    (
        "env dot",
        """\
environment: t
roles:
  r: {trust: [ec2.amazonaws.com], description: "${env.X}"}
""",
        "bad-expression",
        "3:35",
        "did you mean ${env:X}?",
    ),
    (
        "file missing",
        """\
environment: t
roles:
  r: {trust: [ec2.amazonaws.com], description: "${file:nope.txt}"}
""",
        "bad-file",
        "3:35",
        "the path is relative to",
    ),
    (
        "file outside",
        """\
environment: t
roles:
  r: {trust: [ec2.amazonaws.com], description: "${file:../../etc/passwd}"}
""",
        "outside-environment",
        "3:35",
        "copy the file in, and",
    ),
    (
        "file absolute",
        """\
environment: t
roles:
  r: {trust: [ec2.amazonaws.com], description: "${file:/etc/passwd}"}
""",
        "outside-environment",
        "3:35",
        "copy the file in, and",
    ),
    (
        "file that is YAML of its own",
        """\
environment: t
roles:
  r: {trust: [ec2.amazonaws.com], description: "${file:env.yaml}"}
""",
        "bad-file",
        "3:35",
        "move it below files/, whose",
    ),
    (
        "no attribute",
        """\
environment: t
roles:
  r: {trust: [ec2.amazonaws.com]}
  s: {trust: [ec2.amazonaws.com], description: "${roles.r}"}
""",
        "bad-expression",
        "4:35",
        "for example ${roles.r.arn} or ${roles.r.name}",
    ),
    (
        "unknown attribute",
        """\
environment: t
roles:
  r: {trust: [ec2.amazonaws.com]}
  s: {trust: [ec2.amazonaws.com], description: "${roles.r.arm}"}
""",
        "unknown-reference",
        "4:35",
        'did you mean "arn"?',
    ),
    (
        "undeclared resource",
        """\
environment: t
roles:
  role: {trust: [ec2.amazonaws.com]}
  s: {trust: [ec2.amazonaws.com], description: "${roles.rolle.arn}"}
""",
        "unknown-reference",
        "4:35",
        'did you mean "role"?',
    ),
    (
        "resource of another section",
        """\
environment: t
roles:
  role: {trust: [ec2.amazonaws.com]}
  s: {trust: [ec2.amazonaws.com], description: "${instanceProfiles.role.arn}"}
""",
        "unknown-reference",
        "4:35",
        "did you mean roles.role?",
    ),
    (
        "unknown section in an expression",
        """\
environment: t
roles:
  s: {trust: [ec2.amazonaws.com], description: "${role.x.arn}"}
""",
        "unknown-reference",
        "3:35",
        'did you mean "roles"?',
    ),
    (
        "unquoted dotted name",
        """\
environment: t
serviceLinkedRoles:
  batch.amazonaws.com: {}
roles:
  s: {trust: [ec2.amazonaws.com], description: "${serviceLinkedRoles.batch.amazonaws.com.arn}"}
""",
        "bad-expression",
        "5:35",
        "a name with a dot",
    ),
    (
        "unknown look-up",
        """\
environment: t
lookups: {vpc: {vpc: {default: true}}}
roles:
  s: {trust: [ec2.amazonaws.com], description: "${lookups.vcp}"}
""",
        "unknown-reference",
        "4:35",
        'did you mean "vpc"?',
    ),
    (
        "cloudformation",
        """\
environment: t
roles:
  s: {trust: [ec2.amazonaws.com], description: "${AWS::AccountId}"}
""",
        "bad-expression",
        "3:35",
        "did you mean ${account}?",
    ),
    (
        "terraform",
        """\
environment: t
roles:
  s: {trust: [ec2.amazonaws.com], description: "${data.aws_region.current.name}"}
""",
        "bad-expression",
        "3:35",
        "did you mean ${region}?",
    ),
    (
        "key with an expression",
        """\
environment: t
variables: {k: v}
roles:
  s: {trust: [ec2.amazonaws.com], tags: {"${var.k}": x}}
""",
        "bad-expression",
        "4:42",
        "expressions stand in values; write",
    ),
    (
        "cycle",
        """\
environment: t
roles:
  a: {trust: [ec2.amazonaws.com], description: "${roles.b.arn}"}
  b: {trust: [ec2.amazonaws.com], description: "${roles.a.arn}"}
""",
        "reference-cycle",
        "3:3",
        "one of the references has",
    ),
    (
        "dependsOn cycle",
        """\
environment: t
roles:
  a: {trust: [ec2.amazonaws.com], lifecycle: {dependsOn: [roles.b]}}
  b: {trust: [ec2.amazonaws.com], lifecycle: {dependsOn: [roles.a]}}
""",
        "reference-cycle",
        "3:3",
        "one of the references has",
    ),
    (
        "resource in a look-up",
        """\
environment: t
roles:
  a: {trust: [ec2.amazonaws.com]}
lookups:
  p: {ssmParameter: "/x/${roles.a.arn}"}
""",
        "bad-expression",
        "5:3",
        "look up what exists already",
    ),
    (
        "account in region",
        """\
environment: t
region: "${account}"
""",
        "bad-expression",
        "2:1",
        "${var.}, ${env:}, ${file:} and ${environment}",
    ),
    (
        "variable of the wrong type",
        """\
environment: t
variables: {p: high}
jobQueues:
  q:
    priority: "${var.p}"
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
""",
        "wrong-type",
        "5:5",
        "0 to 1000; among queues",
    ),
    (
        "expression inside a number",
        """\
environment: t
variables: {p: 1}
jobQueues:
  q:
    priority: "1${var.p}"
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
""",
        "wrong-type",
        "5:5",
        "write it without quotes, as",
    ),
    (
        "look-up inside a number",
        """\
environment: t
lookups: {p: {ssmParameter: /p}}
jobQueues:
  q:
    priority: "1${lookups.p}"
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
""",
        "wrong-type",
        "5:5",
        "0 to 1000; among queues",
    ),
    (
        "trust said twice",
        """\
environment: t
roles:
  r:
    trust: [ec2.amazonaws.com]
    assumeRolePolicyDocument: {Statement: []}
""",
        "invalid-value",
        "4:5",
        "keep assumeRolePolicyDocument; where trust comes",
    ),
    (
        "role without trust",
        """\
environment: t
roles:
  r: {description: x}
""",
        "missing-field",
        "3:3",
        "e.g. trust: [ecs-tasks.amazonaws.com], or a",
    ),
    (
        "trust without domain",
        """\
environment: t
roles:
  r: {trust: [ec2]}
""",
        "invalid-value",
        "3:15",
        'did you mean "ec2.amazonaws.com"?',
    ),
    (
        "managed policy doubled",
        """\
environment: t
roles:
  r: {trust: [ec2.amazonaws.com], managedPolicies: [AmazonSNSFullAccess, AmazonSNSFullAccess]}
""",
        "invalid-value",
        "3:35",
        "remove one",
    ),
    (
        "inline policy a list",
        """\
environment: t
roles:
  r:
    trust: [ec2.amazonaws.com]
    inlinePolicies: [{Statement: []}]
""",
        "wrong-type",
        "5:5",
        "write its members without the",
    ),
    (
        "session too short",
        """\
environment: t
roles:
  r: {trust: [ec2.amazonaws.com], maxSessionDuration: 60}
""",
        "out-of-range",
        "3:35",
        "Seconds for which someone may",
    ),
    (
        "policy lower case grammar",
        """\
environment: t
policies:
  p:
    policyDocument:
      statement: [{effect: Allow, action: '*', resource: '*'}]
""",
        "unknown-field",
        "5:7",
        'did you mean "Statement"?',
    ),
    (
        "policy effect",
        """\
environment: t
policies:
  p:
    policyDocument:
      Statement: [{Effect: allow, Action: 's3:*', Resource: '*'}]
""",
        "invalid-value",
        "5:20",
        'did you mean "Allow"?',
    ),
    (
        "policy without document",
        """\
environment: t
policies:
  p: {description: x}
""",
        "missing-field",
        "3:3",
        "What the policy allows and",
    ),
    (
        "policy broken json",
        """\
environment: t
policies:
  p:
    policyDocument: '{"Statement": ['
""",
        "invalid-value",
        "4:5",
        "write a mapping, JSON text",
    ),
    (
        "profile with roles",
        """\
environment: t
instanceProfiles:
  p: {roles: [r]}
""",
        "unknown-field",
        "3:7",
        'did you mean "role"?',
    ),
    (
        "profile role a list",
        """\
environment: t
instanceProfiles:
  p: {role: [r]}
""",
        "wrong-type",
        "3:7",
        "The one role it holds:",
    ),
    (
        "retention not offered",
        """\
environment: t
logGroups:
  /aws/batch/x: {retentionInDays: 10}
""",
        "invalid-value",
        "3:18",
        "the nearest is 7; one",
    ),
    (
        "retention a text",
        """\
environment: t
logGroups:
  /aws/batch/x: {retentionInDays: "7"}
""",
        "wrong-type",
        "3:18",
        "write it without quotes, as",
    ),
    (
        "retention misspelt",
        """\
environment: t
logGroups:
  /aws/batch/x: {retentionDays: 7}
""",
        "unknown-field",
        "3:18",
        'did you mean "retentionInDays"?',
    ),
    (
        "log group name",
        """\
environment: t
logGroups:
  "my group": {}
""",
        "invalid-value",
        "3:3",
        "1 to 512 of letters,",
    ),
    (
        "rule cidr",
        """\
environment: t
securityGroups:
  g: {description: d, vpcId: vpc-1, ingress: [{protocol: tcp, port: 22, cidr: 10.0.0.0}]}
""",
        "invalid-value",
        "3:47",
        "one address is 10.0.0.0/32",
    ),
    (
        "rule port",
        """\
environment: t
securityGroups:
  g: {description: d, vpcId: vpc-1, ingress: [{protocol: tcp, port: 70000, cidr: 10.0.0.0/8}]}
""",
        "invalid-value",
        "3:47",
        "port: 8443, port: 8000-8100, or",
    ),
    (
        "rule port text",
        """\
environment: t
securityGroups:
  g: {description: d, vpcId: vpc-1, ingress: [{protocol: tcp, port: ssh, cidr: 10.0.0.0/8}]}
""",
        "invalid-value",
        "3:47",
        "port: 8443, port: 8000-8100, or",
    ),
    (
        "rule field",
        """\
environment: t
securityGroups:
  g: {description: d, vpcId: vpc-1, ingress: [{protocol: tcp, ports: 22, cidr: 10.0.0.0/8}]}
""",
        "unknown-field",
        "3:63",
        'did you mean "port"?',
    ),
    (
        "rules a mapping",
        """\
environment: t
securityGroups:
  g: {description: d, vpcId: vpc-1, ingress: {protocol: tcp, port: 22, cidr: 10.0.0.0/8}}
""",
        "wrong-type",
        "3:37",
        "write a list, each item",
    ),
    (
        "repository mutability",
        """\
environment: t
repositories:
  r: {imageTagMutability: immutable}
""",
        "invalid-value",
        "3:7",
        'did you mean "IMMUTABLE"?',
    ),
    (
        "repository upper case",
        """\
environment: t
repositories:
  MyRepo: {}
""",
        "invalid-value",
        "3:3",
        'did you mean "myrepo"?',
    ),
    (
        "repository lifecycle confusion",
        """\
environment: t
repositories:
  r: {lifecycle: {rules: []}}
""",
        "unknown-field",
        "3:19",
        "one of adopt, dependsOn, drain,",
    ),
    (
        "topic subscription field",
        """\
environment: t
topics:
  t: {subscriptions: [{protocol: email, address: a@b.example}]}
""",
        "unknown-field",
        "3:41",
        "one of attributes, endpoint, protocol",
    ),
    (
        "topic subscription a list of texts",
        """\
environment: t
topics:
  t: {subscriptions: [a@b.example]}
""",
        "wrong-type",
        "3:23",
        "write its members below it:",
    ),
    (
        "topic protocol",
        """\
environment: t
topics:
  t: {subscriptions: [{protocol: mail, endpoint: a@b.example}]}
""",
        "invalid-value",
        "3:24",
        'did you mean "email"?',
    ),
    (
        "secret value number",
        """\
environment: t
secrets:
  s: {value: 1234}
""",
        "wrong-type",
        "3:7",
        "The value: text, or a",
    ),
    (
        "secret field",
        """\
environment: t
secrets:
  s: {secretString: x}
""",
        "unknown-field",
        "3:7",
        'did you mean "value"?',
    ),
    (
        "key without material",
        """\
environment: t
keyPairs:
  k: {}
""",
        "missing-field",
        "3:3",
        "The public key as OpenSSH",
    ),
    (
        "key a private one",
        """\
environment: t
keyPairs:
  k: {publicKey: "-----BEGIN RSA PRIVATE KEY-----"}
""",
        "invalid-value",
        "3:7",
        "give the .pub file instead",
    ),
    (
        "max below min",
        """\
environment: t
computeEnvironments:
  c:
    type: MANAGED
    computeResources:
      type: EC2
      maxvCpus: 16
      minvCpus: 32
      instanceTypes: [optimal]
      instanceRole: x
      subnets: [subnet-0123456789abcdef0]
      securityGroupIds: [sg-0123456789abcdef0]
""",
        "invalid-value",
        "8:7",
        "raise maxvCpus or lower this",
    ),
    (
        "Fargate with instance types",
        """\
environment: t
computeEnvironments:
  c:
    type: MANAGED
    computeResources:
      type: FARGATE
      maxvCpus: 16
      instanceTypes: [optimal]
      subnets: [subnet-0123456789abcdef0]
      securityGroupIds: [sg-0123456789abcdef0]
""",
        "not-applicable",
        "8:7",
        "leave instanceTypes out; a FARGATE",
    ),
    (
        "managed without resources",
        """\
environment: t
computeEnvironments:
  c: {type: MANAGED}
""",
        "missing-field",
        "3:3",
        "say at least type, maxvCpus,",
    ),
    (
        "subnet id",
        """\
environment: t
computeEnvironments:
  c:
    type: MANAGED
    computeResources:
      type: FARGATE
      maxvCpus: 16
      subnets: [sbnet-1]
      securityGroupIds: [sg-0123456789abcdef0]
""",
        "invalid-value",
        "8:17",
        "give ids, or look them",
    ),
    (
        "queue without environments",
        """\
environment: t
jobQueues:
  q: {priority: 1}
""",
        "missing-field",
        "3:3",
        "list one to three: [{order:",
    ),
    (
        "queue order twice",
        """\
environment: t
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder:
      - {order: 0, computeEnvironment: c}
      - {order: 0, computeEnvironment: d}
""",
        "invalid-value",
        "7:10",
        "number the entries 1, 2,",
    ),
    (
        "container without image",
        """\
environment: t
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties: {vcpus: 1, memory: 100}
""",
        "missing-field",
        "6:5",
        "for example image: public.ecr.aws/docker/library/alpine:latest",
    ),
    (
        "container without type",
        """\
environment: t
jobDefinitions:
  j:
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: busybox
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
""",
        "missing-field",
        "3:3",
        "container, or multinode together with",
    ),
    (
        "service-linked role name",
        """\
environment: t
serviceLinkedRoles:
  AWSServiceRoleForBatch: {}
""",
        "invalid-value",
        "3:3",
        "service principals look like batch.amazonaws.com",
    ),
]


FILES = sorted((Path(__file__).parents[1] / "data" / "mistakes").glob("*.yaml"))
LISTED = [case for path in FILES for case in YAML(typ="safe", pure=True).load(path)]


def found_in(directory, text):
    """Every problem of an environment that is one file."""
    file = directory / "env.yaml"
    file.write_text(text)
    try:
        loaded = loader.load(file, environ={})
    except Problems as error:
        return error.problems
    return environment.environment(loaded, discover())[1]


@pytest.mark.parametrize(("text", "code", "place", "said"), [pytest.param(*case[1:], id=case[0]) for case in MISTAKES])
def test_the_mistake_is_told_with_its_place_and_the_way_out(tmp_path, text, code, place, said):
    errors = [problem for problem in found_in(tmp_path, text) if not problem.warning]

    told = [(p.code, f"{p.pos.line}:{p.pos.column}") for p in errors]
    assert (code, place) in told, errors
    assert any(said in f"{p.message} {p.hint}" for p in errors if p.code == code), errors
    assert all(p.hint and p.pos.file == "env.yaml" for p in errors), errors


@pytest.mark.parametrize("case", [pytest.param(case, id=case["mistake"]) for case in LISTED])
def test_more_mistakes_are_told_with_their_place_and_the_way_out(tmp_path, case):
    warning = case.get("warning", False)
    found = [problem for problem in found_in(tmp_path, case["file"]) if problem.warning is warning]
    there = [p for p in found if (p.code, f"{p.pos.line}:{p.pos.column}") == (case["code"], case["at"])]

    assert any(case["said"] in f"{p.message} {p.hint}" for p in there), found
    assert all(p.hint and p.pos.file == "env.yaml" for p in found), found


@pytest.mark.parametrize("case", [pytest.param(case, id=case["mistake"]) for case in LISTED if case.get("warning")])
def test_what_aws_would_take_is_no_error(tmp_path, case):
    assert all(problem.warning for problem in found_in(tmp_path, case["file"]))


def test_there_are_enough_mistakes_and_none_is_there_twice():
    assert len(MISTAKES) + len(LISTED) >= 400
    names = [case[0] for case in MISTAKES] + [case["mistake"] for case in LISTED]
    texts = [case[1] for case in MISTAKES] + [case["file"] for case in LISTED]
    assert len(set(names)) == len(set(texts)) == len(names)
