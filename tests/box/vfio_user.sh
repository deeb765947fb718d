#!/usr/bin/env bash
# Inside the box: a function of touka-device whose page of doorbells is mapped into Debian on the KVM engine. The box has two
# processors, since one of them polls.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1 TOUKA_ENGINE=kvm
python3 tests/machine/mapped_doorbells.py
