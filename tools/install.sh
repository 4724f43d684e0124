#!/usr/bin/env bash
# tools/install.sh VENV EXTRA PYTHON: make VENV if there is none, and install this checkout into it with an extra.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$1 extra=$2 python=$3

if [ ! -x "$venv/bin/python" ]; then
    if [ -z "$python" ]; then
        cat >&2 <<'END'
reconcile needs Python 3.11 or newer, with its venv module, and found none as python3.13, python3.12,
python3.11, python3 or python. Install one (Debian, Ubuntu: apt-get install python3 python3-venv),
or say where it is: make setup PYTHON=/path/to/python3
END
        exit 1
    fi
    echo "making $venv with $("$python" --version)"
    "$python" -m venv "$venv"
fi
echo "installing into $venv (a minute or two, once)"
# Most of what is installed is never imported, so Python compiles what is, when it is, and keeps it: half of the time. The
# pip that comes with Python 3.11 looks at every file of every release there has ever been, for which it takes twice as long
# as a newer one; where there is none to be had, it does.
export PYTHONDONTWRITEBYTECODE=
install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "$@"; }
install --upgrade pip || echo "installing with the pip that is there" >&2
install -c constraints.txt -e ".[$extra]"
"$venv/bin/python" -m compileall -q reconciler
