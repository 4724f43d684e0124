#!/usr/bin/env bash
# `make demo`: apply one environment in a sandbox of its own, change the account, plan, apply again, run a job that
# loses its instance, destroy.
# Needs `reconcile` and its `python` on PATH; always stops the sandbox that it started.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ENVIRONMENT=retry-strategies
SPEED=${DEMO_SPEED:-100}

# Use neither the caller's AWS configuration nor the caller's sandbox.
for name in $(compgen -e AWS_ || true); do unset "$name"; done
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
RECONCILE_SANDBOX_DIR=$(mktemp -d "${TMPDIR:-/tmp}/reconcile-demo.XXXXXX")
export RECONCILE_SANDBOX_DIR

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$'\033[1m' plain=$'\033[0m'
fi

starter=''
finish() {
    local status=$?
    trap - EXIT
    trap '' INT TERM HUP
    if [ -n "$starter" ]; then wait "$starter" || true; fi
    if reconcile sandbox stop >/dev/null 2>&1; then echo "sandbox stopped" >&2; fi
    rm -rf "$RECONCILE_SANDBOX_DIR"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

say() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }

# run STATUS COMMAND...: print a command, run it, and fail unless it exits with STATUS.
run() {
    local wanted=$1 status=0
    shift
    printf '\n%s$ %s%s\n' "$bold" "$(typed "$@")" "$plain"
    "$@" || status=$?
    if [ "$status" -ne "$wanted" ]; then
        echo "demo: exit code $status, expected $wanted" >&2
        exit "$((status == 0 ? 1 : status))"
    fi
}

typed() {
    local word line=''
    for word in "$@"; do
        case $word in
            *[!A-Za-z0-9_./:=,-]*) line+=" '$word'" ;;
            *) line+=" $word" ;;
        esac
    done
    printf '%s' "${line# }"
}

say "Start an AWS account on this machine, with a clock $SPEED times as fast as real time."
printf '\n%s$ eval "$(reconcile sandbox start --speed %s)"%s\n' "$bold" "$SPEED" "$plain"
# In its own process group, so that an interrupt cannot end it before it can be stopped cleanly.
set -m
reconcile sandbox start --speed "$SPEED" >"$RECONCILE_SANDBOX_DIR/exports" &
starter=$!
set +m
wait "$starter"
starter=''
. "$RECONCILE_SANDBOX_DIR/exports"
: "${AWS_ENDPOINT_URL:?the sandbox printed no address}"

say "Check the YAML, without AWS."
run 0 reconcile validate "$ENVIRONMENT"

say "Plan; exit code 2 means that there are changes."
run 2 reconcile plan "$ENVIRONMENT" --detailed-exitcode

say "Apply the changes."
run 0 reconcile apply "$ENVIRONMENT" --auto-approve

say "Plan again: the account matches the YAML."
run 0 reconcile plan "$ENVIRONMENT" --detailed-exitcode

say "Change three resources outside reconcile."
run 0 python -c 'import boto3; boto3.client("batch").update_job_queue(jobQueue="queue-0", priority=7)'
run 0 python -c 'import boto3; boto3.client("batch").update_compute_environment(computeEnvironment="compute-0", computeResources={"maxvCpus": 16})'
run 0 python -c 'import boto3; boto3.client("batch").deregister_job_definition(jobDefinition="noContainer:1")'

say "The plan shows the drift."
run 2 reconcile plan "$ENVIRONMENT" --detailed-exitcode

say "Apply fixes it."
run 0 reconcile apply "$ENVIRONMENT" --auto-approve
run 0 reconcile plan "$ENVIRONMENT" --detailed-exitcode

say "Script a job: its Spot instance is reclaimed, and the second attempt fails by itself."
run 0 reconcile sandbox outcome spot host-lost@60 exit:3@60 --line 'cannot write: no space left on device'

say "Ask what AWS Batch will do then."
run 0 reconcile retry "$ENVIRONMENT" spot --outcome host-lost,exit:3

say "Run it."
run 1 reconcile jobs submit "$ENVIRONMENT" spot --wait | tee "$RECONCILE_SANDBOX_DIR/submitted"
job=$(tail -n 1 "$RECONCILE_SANDBOX_DIR/submitted")

say "See what happened, which retry rule decided, and why the job failed."
run 0 reconcile jobs show "$ENVIRONMENT" "$job"
run 0 reconcile why "$ENVIRONMENT" "$job"

say "Delete everything that the environment owns."
run 0 reconcile destroy "$ENVIRONMENT" --auto-approve

say "The demo is complete."
