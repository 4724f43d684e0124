#!/usr/bin/env bash
# tools/check_wheel.sh [PYTHON]: build the wheel, and try it in an empty environment, without and then with the sandbox.
# Installs what constraints.txt says, from wherever pip is set to look.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD python=${1:-python3}
work=$(mktemp -d "${TMPDIR:-/tmp}/reconcile-wheel.XXXXXX")
venv=$work/venv

finish() {
    local status=$?
    trap - EXIT
    if [ -x "$venv/bin/reconcile" ]; then "$venv/bin/reconcile" sandbox stop >/dev/null 2>&1 || true; fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT

say() { printf '# %s\n' "$*"; }
fail() { printf 'wheel-check: %s\n' "$*" >&2; exit 1; }

# Nothing of the caller's may leak in: neither an account, nor a sandbox, nor this checkout.
for name in $(compgen -e AWS_ || true); do unset "$name"; done
unset PYTHONPATH
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null RECONCILE_SANDBOX_DIR=$work/sandbox
mkdir "$work/sandbox" "$work/clone"

install() { # install WHAT
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt "$1"
}

say "build"
"$python" -m venv "$venv"
"$venv/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-deps -w "$work/dist" .
wheel=$(echo "$work"/dist/batch_reconcile-*-py3-none-any.whl)
[ -f "$wheel" ] || fail "no wheel was built"
names=$("$python" -m zipfile -l "$wheel")
for file in py.typed schemas/settings.schema.json templates/ pipelines/github/.github/workflows/reconcile-plan.yml \
    render/page/style.css render/page/script.js; do
    grep -q "^reconciler/$file" <<<"$names" || fail "reconciler/$file is not in the wheel"
done

say "without the sandbox"
install "$wheel"
cd "$work/clone"
PATH=$venv/bin:$PATH
reconcile --version
"$venv/bin/python" -c "import moto" 2>/dev/null && fail "moto is installed without having been asked for"
reconcile init environments/mine >/dev/null
reconcile validate mine
reconcile init --ci github . >/dev/null 2>&1
[ -f .github/workflows/reconcile-plan.yml ] || fail "init --ci wrote no workflow"
reconcile schema >/dev/null
status=0
said=$(reconcile sandbox start 2>&1) || status=$?
[ "$status" -ne 0 ] || fail "a sandbox was started without moto"
case $said in *"pip install 'batch-reconcile[sandbox]'"*) ;; *) fail "what to install is not said: $said" ;; esac

say "with the sandbox"
cd "$root"
install "$wheel[sandbox]"
cd "$work/clone"
reconcile sandbox start --speed 100 >"$work/exports"
. "$work/exports"
status=0
reconcile plan mine --detailed-exitcode >/dev/null || status=$?
[ "$status" -eq 2 ] || fail "the first plan ended with $status"
reconcile apply mine --auto-approve >/dev/null
reconcile plan mine --detailed-exitcode >/dev/null || fail "after the apply there is still something to do"
reconcile destroy mine --auto-approve >/dev/null
reconcile sandbox stop >/dev/null 2>&1
say "the wheel works"
