#!/usr/bin/env bash
# What `make demo` shows: one environment from nothing to applied, drifted, mended and gone, in a sandbox of its own.
# Wants `reconcile` and the `python` beside it on PATH; stops the sandbox it started, however it ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ENVIRONMENT=retry-strategies
SPEED=${DEMO_SPEED:-100}

# Nothing of the caller's account may leak in, and a sandbox of the caller's must not be disturbed.
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

# run WANTED-STATUS COMMAND...: show a command as one would type it, run it, and insist on how it ends.
run() {
    local wanted=$1 status=0
    shift
    printf '\n%s$ %s%s\n' "$bold" "$(typed "$@")" "$plain"
    "$@" || status=$?
    if [ "$status" -ne "$wanted" ]; then
        echo "demo: that ended with status $status, and $wanted was expected" >&2
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

say "An AWS account on this machine; its clock runs $SPEED times as fast."
printf '\n%s$ eval "$(reconcile sandbox start --speed %s)"%s\n' "$bold" "$SPEED" "$plain"
# In a process group of its own: an interrupt waits until there is something that can be stopped.
set -m
reconcile sandbox start --speed "$SPEED" >"$RECONCILE_SANDBOX_DIR/exports" &
starter=$!
set +m
wait "$starter"
starter=''
. "$RECONCILE_SANDBOX_DIR/exports"
: "${AWS_ENDPOINT_URL:?the sandbox did not say where it is}"

say "Is the YAML right? No account is asked."
run 0 reconcile validate "$ENVIRONMENT"

say "What would be done? 2 says that there are changes."
run 2 reconcile plan "$ENVIRONMENT" --detailed-exitcode

say "Do it."
run 0 reconcile apply "$ENVIRONMENT" --auto-approve

say "Plan again: the account matches the YAML."
run 0 reconcile plan "$ENVIRONMENT" --detailed-exitcode

say "Someone changes three things behind its back."
run 0 python -c 'import boto3; boto3.client("batch").update_job_queue(jobQueue="queue-0", priority=7)'
run 0 python -c 'import boto3; boto3.client("batch").update_compute_environment(computeEnvironment="compute-0", computeResources={"maxvCpus": 16})'
run 0 python -c 'import boto3; boto3.client("batch").deregister_job_definition(jobDefinition="noContainer:1")'

say "The plan shows them."
run 2 reconcile plan "$ENVIRONMENT" --detailed-exitcode

say "And apply puts them right."
run 0 reconcile apply "$ENVIRONMENT" --auto-approve
run 0 reconcile plan "$ENVIRONMENT" --detailed-exitcode

say "Take everything down again."
run 0 reconcile destroy "$ENVIRONMENT" --auto-approve

say "That was all of it."
