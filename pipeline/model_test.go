package pipeline_test

import (
	"testing"

	"github.com/lakectl/lakectl/table"
)

const silverFlights = `/* @lake
kind: merge
key: [flight_at, origin]
sequence_by: [_file, _row]
not_stored: [_file, _row]
partition_by: [day]
columns:
  origin: {type: string, validate: "required,alpha,len=3"}
expect:
  delay_sane: {sql: "delay_min BETWEEN -120 AND 1440", on_fail: quarantine}
  late: {sql: "delay_min < 60", on_fail: warn}
quarantine: {max_ratio: 100%}
@lake */
SELECT date AS flight_at, CAST(date AS DATE) AS day, origin, delay AS delay_min, _file, _row FROM bronze.flights;
`

const goldDelay = `/* @lake
kind: full
checks:
  - unique: {columns: [day]}
@lake */
SELECT day, count(*) AS flights, sum(delay_min)::bigint AS delay, @run_id AS run FROM silver.flights GROUP BY ALL
`

func flights(t *testing.T) *lake {
	t.Helper()
	return newLake(t, map[string]string{
		"bronze/flights.ingest.yml": flightsIngest, "silver/flights.sql": silverFlights, "gold/delay.sql": goldDelay,
	})
}

func TestBronzeSilverGold(t *testing.T) {
	l := flights(t)
	l.run("bronze.flights nothing", "silver.flights skipped (bronze.flights has no data yet)", "gold.delay skipped (silver.flights has no data yet)")
	l.land("dt=2001-02-01/a.csv", `date,delay,origin
2001-02-01 06:00:00,5,LAX
2001-02-01 06:00:00,7,LAX
2001-02-01 07:00:00,70,SFO
2001-02-01 08:00:00,9999,SFO
2001-02-01 09:00:00,1,S1
,1,SFO
`)
	l.run("bronze.flights ok +6 ~0 -0", "silver.flights warned +2 ~0 -0 superseded 1 quarantine 3", "gold.delay ok +1 ~0 -0")
	l.want("silver.flights", "SELECT flight_at, day, origin, delay_min FROM t ORDER BY 1",
		"2001-02-01 06:00:00|2001-02-01|LAX|7", "2001-02-01 07:00:00|2001-02-01|SFO|70")
	l.want("silver.flights__quarantine", "SELECT _reason, _detail, _rules, _source, _position, _plan, _source_version FROM t ORDER BY _position",
		"rule|delay_min=9999|[delay_sane]|bronze.flights|dt=2001-02-01/a.csv:4|1|0",
		"rule|origin=S1|[origin]|bronze.flights|dt=2001-02-01/a.csv:5|1|0",
		"null_key|flight_at=NULL|[]|bronze.flights|dt=2001-02-01/a.csv:6|1|0")
	// The same again, one new key, one older row that repeats what is stored.
	l.land("dt=2001-02-02/b.csv", "date,delay,origin\n2001-02-01 06:00:00,8,LAX\n2001-02-01 07:00:00,70,SFO\n2001-02-02 06:00:00,3,JFK\n")
	l.run("bronze.flights ok +3 ~0 -0", "silver.flights warned +1 ~1 -0", "gold.delay ok +2 ~0 -1")
	l.want("silver.flights", "SELECT day, origin, delay_min FROM t ORDER BY 1, 2", "2001-02-01|LAX|8", "2001-02-01|SFO|70", "2001-02-02|JFK|3")
	l.want("gold.delay", "SELECT day, flights, delay, run FROM t ORDER BY 1", "2001-02-01|2|78|p/manual-3", "2001-02-02|1|3|p/manual-3")
	l.run("bronze.flights nothing", "silver.flights nothing", "gold.delay ok +2 ~0 -2")
	// A replaced file takes its rows along: the key that it alone had is gone, the other is recomputed from what is left.
	l.land("dt=2001-02-02/b.csv", "date,delay,origin\n2001-02-03 06:00:00,4,JFK\n")
	l.run("bronze.flights ok +1 ~0 -3", "silver.flights warned +1 ~1 -1 superseded 1", "gold.delay ok +2 ~0 -2")
	l.want("silver.flights", "SELECT day, origin, delay_min FROM t ORDER BY 1, 2", "2001-02-01|LAX|7", "2001-02-01|SFO|70", "2001-02-03|JFK|4")
}

func TestMergeTie(t *testing.T) {
	l := newLake(t, map[string]string{
		"bronze/flights.ingest.yml": flightsIngest,
		"silver/flights.sql":        "/* @lake\nkind: merge\nkey: [origin]\nsequence_by: [date]\n@lake */\nSELECT origin, date, delay FROM bronze.flights",
	})
	l.land("dt=2001-02-01/a.csv", "date,delay,origin\n2001-02-01 06:00:00,5,LAX\n2001-02-01 06:00:00,5,LAX\n")
	l.run("bronze.flights ok +2 ~0 -0", "silver.flights ok +1 ~0 -0 superseded 1")
	l.land("dt=2001-02-01/b.csv", "date,delay,origin\n2001-02-01 05:00:00,6,LAX\n")
	l.run("bronze.flights ok +1 ~0 -0", "silver.flights ok +0 ~0 -0 late 1")
	l.land("dt=2001-02-01/c.csv", "date,delay,origin\n2001-02-01 07:00:00,6,LAX\n2001-02-01 07:00:00,7,LAX\n")
	l.run("bronze.flights ok +2 ~0 -0", "silver.flights failed check")
	l.want("silver.flights", "SELECT date, delay FROM t", "2001-02-01 06:00:00|5")
}

func TestChecksAndBreaker(t *testing.T) {
	l := flights(t)
	l.write("pipelines/p/gold/delay.sql", "/* @lake\nkind: full\nchecks:\n  - unique: {columns: [origin]}\n@lake */\nSELECT origin FROM silver.flights")
	l.land("dt=2001-02-01/a.csv", "date,delay,origin\n2001-02-01 06:00:00,5,LAX\n2001-02-01 07:00:00,7,LAX\n2001-02-01 08:00:00,7777,LAX\n")
	rep := l.run("bronze.flights ok +3 ~0 -0", "silver.flights warned +2 ~0 -0 quarantine 1", "gold.delay failed check")
	if rep.ExitCode() != 2 {
		t.Errorf("exit code %d", rep.ExitCode())
	}
	if _, err := table.Open(t.Context(), l.warehouse, "gold/delay"); err == nil {
		t.Error("a failed check left a table")
	}
	if staged := rep.Tasks[2].Staged; len(staged) == 0 {
		t.Error("nothing says what was staged")
	}
	l.write("pipelines/p/gold/delay.sql", "/* @lake\nkind: full\nchecks:\n  - unique: {columns: [origin], severity: warn, max_failures: 0}\n  - not_null: {columns: [origin]}\n  - accepted_values: {column: origin, values: [LAX]}\n@lake */\nSELECT origin FROM silver.flights")
	l.run("bronze.flights nothing", "silver.flights nothing", "gold.delay warned +2 ~0 -0")
	// The breaker: nothing is committed, neither in the table nor beside it.
	l.write("pipelines/p/silver/strict.sql", "/* @lake\nkind: full\nexpect:\n  small: {sql: \"delay_min < 6\"}\nquarantine: {max_rows: 0}\n@lake */\nSELECT delay_min FROM silver.flights")
	l.run("bronze.flights nothing", "silver.flights nothing", "gold.delay warned +2 ~0 -2", "silver.strict failed quarantine 1 check")
	if _, err := table.Open(t.Context(), l.warehouse, "silver/strict__quarantine"); err == nil {
		t.Error("a tripped breaker left a quarantine table")
	}
}
