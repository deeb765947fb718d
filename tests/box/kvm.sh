#!/usr/bin/env bash
# Inside the box: the unit tests of the KVM engine, then Debian's kernel on it with one and two processors.
set -euo pipefail
echo "box: $(uname -r), $(nproc) cpu, $(ls -l /dev/kvm)"
build/release/bin/touka_cpu_kvm_test --gtest_brief=1
export TOUKA_ENGINE=kvm PYTHONDONTWRITEBYTECODE=1
python3 tests/machine/processors.py
python3 tests/machine/block.py
