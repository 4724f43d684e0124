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
    # With a newer pip than the one that comes with Python, where there is one to be had: that of Python 3.11 looks at every
    # file of every release there has ever been, which takes it twice as long.
    "$python" -m venv --without-pip "$venv"
    "$python" -m pip --python "$venv/bin/python" install --quiet --disable-pip-version-check --no-compile pip 2>/dev/null ||
        "$python" -m venv --clear "$venv"
fi
echo "installing into $venv (a minute or two, once)"
# Most of what is installed is never imported, so Python compiles what is, when it is, and keeps it: half of the time.
export PYTHONDONTWRITEBYTECODE=
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e ".[$extra]"
"$venv/bin/python" -m compileall -q reconciler
