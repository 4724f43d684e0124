#!/bin/bash
# The desktop in a session: DCV starts this as the user, with DISPLAY set.
set -euo pipefail

cd
exec dbus-run-session -- startxfce4
