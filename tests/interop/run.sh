#!/usr/bin/env bash
# Another engine over our tables: delta-rs reads every table of the flights example and must see the rows that we see;
# then it appends to one, which we read and verify. Needs Go and Python 3 with venv; the Python packages are fetched
# once into .cache/py. LAKECTL names a binary to test, otherwise one is built.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/tests/interop
cd "$root"

venv=$root/.cache/py
stamp=$venv/requirements.txt
if ! cmp -s "$here/requirements.txt" "$stamp"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$stamp"
fi

lakectl=${LAKECTL:-$root/.cache/interop/lakectl}
if [ -z "${LAKECTL:-}" ]; then
  mkdir -p "$root/.cache/interop"
  go build -o "$lakectl" ./cmd/lakectl
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$lakectl" init "$work/flights" >/dev/null
cd "$work/flights"
"$lakectl" run flights >"$work/first.log" 2>&1 || { cat "$work/first.log" >&2; exit 1; }
cp -r late/flights landing/
"$lakectl" run flights >"$work/second.log" 2>&1 || { cat "$work/second.log" >&2; exit 1; }

"$venv/bin/python" "$here/compare.py" "$lakectl" "$work/flights"
