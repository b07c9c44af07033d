#!/usr/bin/env bash
# Real peers over our tables, and we over theirs: Spark, delta-rs, Polars and DuckDB (see interop.py). Needs Go, Python 3
# with venv, and Java 17. Everything else is fetched once, pinned, into .cache: Python packages by pip, the jars of Delta
# Lake by Spark's own resolver.
# LAKECTL names a binary to test, otherwise one is built. ONLY runs the cases whose name has that text. PAGE is where the
# page of results goes.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/tests/interop
cache=$root/.cache/interop
cd "$root"
export TZ=UTC PYTHONDONTWRITEBYTECODE=1 SPARK_LOCAL_IP=127.0.0.1
mkdir -p "$cache"

command -v java >/dev/null || { echo "make interop-peers: Spark needs Java 17 (java is not on the PATH)" >&2; exit 1; }

venv=$root/.cache/py-peers
stamp=$venv/requirements-peers.txt
if ! cmp -s "$here/requirements-peers.txt" "$stamp"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements-peers.txt"
  cp "$here/requirements-peers.txt" "$stamp"
fi

# The jars whose checksums are in jars.sha256, and no others.
if ! (cd "$cache/ivy/jars" 2>/dev/null && sha256sum --check --quiet "$here/jars.sha256" >/dev/null 2>&1); then
  "$venv/bin/python" "$here/jars.py" "$cache/ivy" >"$cache/jars.log" 2>&1 || { cat "$cache/jars.log" >&2; exit 1; }
  (cd "$cache/ivy/jars" && sha256sum --check --quiet "$here/jars.sha256")
fi
jars=$(awk -v dir="$cache/ivy/jars/" '{ printf "%s%s%s", sep, dir, $2; sep = "," }' "$here/jars.sha256")

lakectl=${LAKECTL:-$cache/lakectl}
if [ -z "${LAKECTL:-}" ]; then
  go build -o "$lakectl" ./cmd/lakectl
fi
go build -o "$cache/ours" ./tests/interop/ours

work=$(mktemp -d)
trap 'if [ $? = 0 ]; then rm -rf "$work"; else echo "make interop-peers: the tables are left in $work" >&2; fi' EXIT
"$venv/bin/python" "$here/interop.py" --lakectl "$lakectl" --ours "$cache/ours" --jars "$jars" --work "$work/tables" --only "${ONLY:-}" --page "${PAGE:-}"
