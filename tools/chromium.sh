#!/usr/bin/env bash
# tools/chromium.sh: install the Chromium that tests open pages with, where none is found and apt may be used.
# Without one these tests are skipped, so that nothing else depends on it.
set -euo pipefail

have() {
    local name
    for name in "$@"; do
        if [ -n "$name" ] && command -v "$name" >/dev/null; then return 0; fi
    done
    return 1
}
complete() {
    have "${CHROMIUM:-}" chromium chromium-browser google-chrome chrome && have "${CHROMEDRIVER:-}" chromedriver chromium.chromedriver
}

if complete; then exit 0; fi
if [ "$(id -u)" = 0 ] && have apt-get; then
    echo "installing chromium and chromium-driver"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver; } >/dev/null || true
fi
if ! complete; then
    cat >&2 <<'END'
There is no Chromium with its driver, so the page of a plan is not tested in a browser. Install them as root (Debian, Ubuntu:
apt-get install chromium chromium-driver), or set CHROMIUM and CHROMEDRIVER to their paths.
END
fi
