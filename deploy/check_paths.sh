#!/usr/bin/env bash
# Fails if a tracked file names a package registry's host, or a path of one person's machine: set-up must
# work with whatever index and home folder a machine has.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
if ! git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  echo "paths: not a git checkout, so nothing is tracked"
  exit 0
fi
# (Brackets keep this file from finding itself.)
pattern='pypi[.]org|pythonhosted[.]org|(deb|security)[.]debian[.]org|/[r]oot/|/home/[a-z]+/|/[w]ork/(main|shared|tools)'
if git grep -nIE "$pattern" -- . ':!tests/golden'; then
  echo "paths: the lines above name a registry's host or one machine's path" >&2
  exit 1
fi
echo "paths: $(git ls-files | wc -l) files, no registry hosts, no paths of one machine"
