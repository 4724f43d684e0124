"""The benchmarks compare the same estate."""

import re

from benchmarks import estate, terraform_estate

N = 60


def test_terraform_has_the_same_estate():
    ours = "\n".join(text for _, text in estate.files(N, "estate"))
    theirs = dict(terraform_estate.files(N))
    names: dict[str, set[str]] = {}
    section = ""
    for line in ours.splitlines():
        if found := re.fullmatch(r"(\w+):", line):
            section = found[1]
        elif found := re.match(r"  (\S+):(?: *$)", line):
            names.setdefault(section, set()).add(found[1])
    for neither in ("lookups", *terraform_estate.LEFT_OUT):
        assert names.pop(neither), neither
    assert terraform_estate.declared(theirs) == names
    text = "\n".join(theirs.values())
    for one, other in (
        (r"/estate/step-\S+?:1\.\d+", r"/estate/step-\S+?:1\.\d+"),
        (r"retentionInDays: (\d+)", r"retention_in_days = (\d+)"),
        (r"maxvCpus: (\d+)", r"max_vcpus +=\s(\d+)"),
        (r"  priority: (\d+)", r"  priority = (\d+)"),
        (r"\{order: (\d), computeEnvironment: \S+-(\d+)\}", r"order += (\d)\n.*\.compute_(\d+)\.arn"),
        (r"VCPU, value: \"(\d+)\"\}", r"\"VCPU\", value = \"(\d+)\" \}"),
        (r"MEMORY, value: \"(\d+)\"\}", r"\"MEMORY\", value = \"(\d+)\" \}"),
        (r"attempts: (\d+)", r"attempts = (\d+)"),
        (r"attemptDurationSeconds: (\d+)", r"attempt_duration_seconds = (\d+)"),
        (r"jobRoleArn: estate-role-(\d+)", r"jobRoleArn += aws_iam_role\.role_(\d+)\.arn"),
        (r"awslogs-group: /aws/batch/estate/(\d+)", r"awslogs-group += aws_cloudwatch_log_group\.jobs_(\d+)\.name"),
    ):
        declared = re.findall(one, ours)
        assert declared, one
        assert re.findall(other, text) == declared, other
