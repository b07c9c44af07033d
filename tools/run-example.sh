#!/usr/bin/env bash
# Shows real flights becoming bronze, silver and gold tables: what `make run` does. BIN is lakectl, LAKE the folder.
set -euo pipefail
: "${BIN:?BIN is the lakectl program}" "${LAKE:?LAKE is the folder of the project}"

say() { printf '\n$ %s\n' "$*"; }
lakectl() {
  say lakectl "$@"
  "$BIN" "$@"
}

if [ ! -e "$LAKE/lake.yml" ]; then
  lakectl init --quiet "$LAKE"
fi
cd "$LAKE"
lakectl run flights
if [ ! -e landing/flights/dt=2001-02-23 ]; then
  say cp -r late/flights landing/ '  # the file of 2001-02-23 arrives late'
  cp -r late/flights landing/
  lakectl run flights
fi
sql="SELECT place, origin, destination, flights, round(avg_delay, 1) AS avg_delay FROM gold.route_ranking ORDER BY place LIMIT 5"
say "lakectl query \"$sql\""
"$BIN" query "$sql"
cat <<TXT

The tables are in $LAKE/lake, as Delta Lake tables that Spark, Trino, DuckDB, Polars and delta-rs read, too.
Try next:
  cd $LAKE
  $BIN history silver.flights
  $BIN query "SELECT _rules, count(*) AS rows FROM silver.flights__quarantine GROUP BY ALL"
TXT
