#!/bin/bash
# The job: a user, an X server on the GPU, DCV, one session, a mail. It ends when the user logs out, with 0.
#
# There is no systemd: it would keep the job's environment from what it starts, and with it the job role and the Region.
# All that is said goes to the log of the job. The password is seen by `desktop account` alone.
set -euo pipefail

readonly SESSION=desktop
readonly TICK="${DESKTOP_TICK:-1}" # seconds between looks
readonly SERVER_LOG="${DESKTOP_SERVER_LOG:-/var/log/dcv/server.log}"
readonly XORG_CONF="${DESKTOP_XORG_CONF:-/etc/X11/xorg.conf}"

server=""
xorg=""
created=""

say() {
    printf 'desktop: %s\n' "$*" >&2
}

# Ends what runs, and the job with the exit code $1.
finish() {
    trap '' TERM INT
    if [[ -n "${created}" ]]; then
        dcv close-session "${SESSION}" >/dev/null 2>&1 || true
    fi
    local pid
    for pid in ${server} ${xorg}; do
        kill -TERM "${pid}" 2>/dev/null || true
    done
    exit "$1"
}

fail() {
    say "$*"
    finish 1
}

# Fails with the ends of DCV's logs, which are gone with the container.
fail_with_logs() {
    say "$*"
    local log
    for log in "${SERVER_LOG%/*}"/*.log; do
        if [[ -s "${log}" ]]; then
            say "the end of ${log}:"
            tail -n 20 "${log}" >&2
        fi
    done
    finish 1
}

# A signal interrupts `wait`, and not a program in the foreground.
pause() {
    sleep "${TICK}" &
    wait "$!" || true
}

# Runs "$@" until it succeeds, at most $1 times; gives up as soon as the process $2 is gone.
attempt() {
    local times="$1" pid="$2"
    shift 2
    while ((times-- > 0)); do
        kill -0 "${pid}" 2>/dev/null || return 1
        if "$@" >/dev/null 2>&1; then
            return 0
        fi
        pause
    done
    return 1
}

# The 3D X server that DCV GL draws on: one screen on the first GPU. Fails without a GPU or without the server.
start_xorg() {
    local gpu domain bus device function
    gpu="$(nvidia-smi --query-gpu=pci.bus_id --format=csv,noheader 2>/dev/null | head -n 1)" || return 1
    [[ -n "${gpu}" ]] || return 1
    IFS=':.' read -r domain bus device function <<<"${gpu}" # 00000000:00:1E.0, in hexadecimal
    cat >"${XORG_CONF}" <<CONF
Section "Device"
    Identifier "gpu"
    Driver "nvidia"
    BusID "$(printf 'PCI:%d@%d:%d:%d' "0x${bus}" "0x${domain}" "0x${device}" "0x${function}")"
EndSection
Section "Screen"
    Identifier "screen"
    Device "gpu"
    DefaultDepth 24
    Option "AllowEmptyInitialConfiguration" "true"
    Option "HardDPMS" "false"
EndSection
CONF
    Xorg :0 -config "${XORG_CONF}" -nolisten tcp -noreset >/dev/null 2>&1 &
    xorg="$!"
    attempt 30 "${xorg}" env DISPLAY=:0 xhost "+si:localuser:dcv" || return 1
    DISPLAY=:0 xhost "+si:localuser:$1" >/dev/null
    dcvgladmin enable >/dev/null
}

# Listed as Session: 'desktop' (owner:user001 type:virtual), by some releases without the quotes.
session_is_there() {
    dcv list-sessions 2>/dev/null | grep --quiet --extended-regexp "^Session: '?${SESSION}'? \\("
}

# Makes the session of the user $1, and looks whether it lasts: a desktop that cannot start takes its session along.
create_session() {
    dcv create-session --type virtual --owner "$1" --user "$1" \
        --init /usr/local/bin/desktop-session --gl "$2" "${SESSION}" || return 1
    created=yes
    local _
    for _ in 1 2 3 4 5; do
        pause
        session_is_there || return 1
    done
}

main() {
    trap 'say "stopped from outside: closing the session"; finish 143' TERM INT

    local login gl=off licence=()
    login="$(desktop account)" || fail "no user, no session"

    dbus-daemon --system --fork
    if start_xorg "${login}"; then
        gl="${DCV_GL:-on}"
    else
        say "no X server on a GPU (nvidia-smi, and /var/log/Xorg.0.log, say more): programs draw without one"
    fi

    dcvserver -d --service &
    server="$!"
    attempt 60 "${server}" dcv list-sessions || fail_with_logs "the DCV server did not start"

    if ! create_session "${login}" "${gl}"; then
        [[ "${gl}" == on ]] || fail_with_logs "the session ended at once"
        say "the desktop does not start with DCV GL: once more without (DCV_GL=off does so from the start)"
        create_session "${login}" off || fail_with_logs "the session ended at once"
    fi

    # The server starts without a licence, and then refuses its users.
    if grep --quiet --ignore-case 'unable to retrieve license' "${SERVER_LOG}" 2>/dev/null; then
        say "DCV has no licence and will refuse the connection: the role needs s3:GetObject on dcv-license.REGION"
        licence=(--no-licence)
    fi
    desktop notify "${SESSION}" "${login}" "${licence[@]}" || say "no mail was sent; the session is open all the same"

    local misses=0
    while kill -0 "${server}" 2>/dev/null; do
        pause
        if session_is_there; then
            misses=0
        elif ((++misses >= 3)); then
            say "the user has logged out: the job ends"
            created=""
            finish 0
        fi
    done
    fail_with_logs "the DCV server ended"
}

main "$@"
