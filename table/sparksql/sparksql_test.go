package sparksql_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/sparksql"
	"github.com/lakectl/lakectl/txlog"
)

const (
	columns = "b byte, sh smallint, i int, l bigint, f float, d double, dec decimal(10,2), big decimal(38,10), s string, " +
		"flag boolean, dt date, ts timestamp, ntz timestamp_ntz, bin binary, nul int, nuls string, st struct<x:int,`odd name`:struct<y:string>>, " +
		"arr array<int>, `a.b` int, Mixed int"
	row = "SELECT 5::TINYINT AS b, 300::SMALLINT AS sh, -7::INTEGER AS i, 9000000000::BIGINT AS l, 1.5::FLOAT AS f, 2.5::DOUBLE AS d, " +
		"12.35::DECIMAL(10,2) AS dec, 3::DECIMAL(38,10) AS big, ' Straße 1 ' AS s, true AS flag, DATE '2024-02-29' AS dt, " +
		"TIMESTAMPTZ '2024-02-29 23:30:15.25+00' AS ts, TIMESTAMP '2024-02-29 23:30:15.25' AS ntz, 'ab'::BLOB AS bin, NULL::INTEGER AS nul, " +
		"NULL::VARCHAR AS nuls, {'x': 4, 'odd name': {'y': 'deep'}} AS st, [1, NULL] AS arr, 11 AS \"a.b\", 12 AS \"Mixed\""
)

func schema(tb testing.TB) *txlog.Schema {
	tb.Helper()
	s, err := txlog.ParseColumns(columns)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func target(tb testing.TB) sparksql.Target {
	tb.Helper()
	return sparksql.Target{
		Columns: schema(tb).Fields, Alias: "r", Ident: table.QuoteIdent, Text: table.QuoteString, Type: table.TypeSQL,
	}
}

func translate(tb testing.TB, expression string, to sparksql.Target) (*sparksql.SQL, error) {
	tb.Helper()
	e, err := sparksql.Parse(expression)
	if err != nil {
		return nil, err
	}
	return e.Translate(to)
}

func engine(t *testing.T) *duckdb.Engine {
	t.Helper()
	eng, err := duckdb.Open(duckdb.Options{TempDir: t.TempDir(), Threads: 1, MemoryBytes: 1 << 29})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	return eng
}

// first is the first row of a query as text.
func first(t *testing.T, eng *duckdb.Engine, q table.Query) ([]string, error) {
	t.Helper()
	rows, err := eng.Query(t.Context(), q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for r, err := range rows.All {
		if err != nil {
			return nil, err
		}
		for _, v := range r {
			if v == nil {
				v = "NULL"
			}
			out = append(out, fmt.Sprint(v))
		}
		break
	}
	return out, nil
}

// Values as Spark 4 gives them with its default settings, time zone UTC; the type comes first.
func TestValues(t *testing.T) {
	cases := []struct{ expression, want string }{
		// literals
		{"1", "int 1"},
		{"-2147483648", "int -2147483648"},
		{"2147483648", "bigint 2147483648"},
		{"7L", "bigint 7"},
		{"7S", "smallint 7"},
		{"7Y", "tinyint 7"},
		{"1.50", "decimal(3,2) 1.50"},
		{".05 + 1.0", "decimal(4,2) 1.05"},
		{"1.5D", "double 1.5"},
		{"1e3", "double 1000.0"},
		{"2BD", "decimal(1,0) 2"},
		{"'it\\'s'", "string it's"},
		{`"double quoted"`, "string double quoted"},
		{`'tab\tA\\'`, "string tab\tA\\"},
		{`'\u00e9'`, "string é"},
		{"TRUE", "boolean true"},
		{"null IS NULL", "boolean true"},
		{"DATE '2024-02-29'", "date 2024-02-29"},
		{"TIMESTAMP '2024-02-29 10:11:12.5Z'", "timestamp 2024-02-29 10:11:12.5+00"},
		{"TIMESTAMP_NTZ '2024-02-29 10:11:12'", "timestamp_ntz 2024-02-29 10:11:12"},
		// columns
		{"S", "string  Straße 1 "},
		{"`a.b` + mixed", "int 23"},
		{"st.X", "int 4"},
		{"st.`odd name`.y", "string deep"},
		// arithmetic
		{"i + 2", "int -5"},
		{"b + sh", "smallint 305"},
		{"i * l", "bigint -63000000000"},
		{"-i", "int 7"},
		{"- (2 + 3)", "int -5"},
		{"i / 2", "double -3.5"},
		{"7 / 7", "double 1.0"},
		{"i DIV 2", "bigint -3"},
		{"i % 4", "int -3"},
		{"7 % -4", "int 3"},
		{"d % 2", "double 0.5"},
		{"mod(l, 7)", "bigint 5"},
		{"d + 0.5", "double 3.0"},
		{"d * i", "double -17.5"},
		{"f + f", "float 3.0"},
		{"f * d", "double 3.75"},
		{"dec + 1", "decimal(11,2) 13.35"},
		{"dec - 0.355", "decimal(12,3) 11.995"},
		{"dec * 2.5", "decimal(13,3) 30.875"},
		{"dec * dec", "decimal(21,4) 152.5225"},
		{"dec + i", "decimal(13,2) 5.35"},
		{"1 + 2 * 3 - 4", "int 3"},
		{"(1 + 2) * 3", "int 9"},
		{"nul + 1", "int NULL"},
		{"1 + null", "int NULL"},
		{"nul / 0", "double NULL"},
		{"dt + 1", "date 2024-03-01"},
		{"dt - 29", "date 2024-01-31"},
		// comparison
		{"i < 0", "boolean true"},
		{"i = -7.0", "boolean true"},
		{"i == -7", "boolean true"},
		{"i <> -7", "boolean false"},
		{"i != -7", "boolean false"},
		{"nul = 1", "boolean NULL"},
		{"nul <=> null", "boolean true"},
		{"nul <=> 1", "boolean false"},
		{"l > 2147483647", "boolean true"},
		{"dec >= 12.345", "boolean true"},
		{"big < 4", "boolean true"},
		{"d > 2", "boolean true"},
		{"d = 2.5", "boolean true"},
		{"f <= 1.5D", "boolean true"},
		{"CAST(d AS FLOAT) = f", "refused"},
		{"s > 'Z'", "boolean false"},
		{"'a' < 'B'", "boolean false"},
		{"dt >= '2024-02-29'", "boolean true"},
		{"dt < DATE '2024-03-01'", "boolean true"},
		{"'2024-02-28' < dt", "boolean true"},
		{"ts > '2024-02-29 23:30:15'", "boolean true"},
		{"ts > dt", "boolean true"},
		{"ntz > dt", "boolean true"},
		{"flag = true", "boolean true"},
		{"flag > false", "boolean true"},
		{"nuls IS DISTINCT FROM 'x'", "boolean true"},
		{"nuls IS NOT DISTINCT FROM 'x'", "boolean false"},
		{"0.0D = -0.0D", "boolean true"},
		// logic
		{"flag AND nul > 1", "boolean NULL"},
		{"NOT flag AND nul > 1", "boolean false"},
		{"flag OR nul > 1", "boolean true"},
		{"NOT flag OR NULL", "boolean NULL"},
		{"NOT nul IS NULL", "boolean false"},
		{"!flag", "boolean false"},
		{"true OR false AND false", "boolean true"},
		{"i = -7 IS NULL", "boolean false"},
		{"flag IS TRUE", "boolean true"},
		{"(nul > 1) IS NOT TRUE", "boolean true"},
		{"(nul > 1) IS UNKNOWN", "boolean true"},
		// predicates
		{"i IN (1, -7)", "boolean true"},
		{"i IN (1, null)", "boolean NULL"},
		{"i NOT IN (1, 2)", "boolean true"},
		{"dec IN (12, 12.350)", "boolean true"},
		{"i BETWEEN -7 AND 0", "boolean true"},
		{"i NOT BETWEEN -6 AND 0 AND true", "boolean true"},
		{"nul BETWEEN 1 AND 2", "boolean NULL"},
		{"s LIKE '%Stra_e%'", "boolean true"},
		{"s NOT LIKE 'S%'", "boolean true"},
		{`'100%' LIKE '100\%'`, "boolean true"},
		{`'1000' LIKE '100\%'`, "boolean false"},
		{`'a\\b' LIKE 'a\\\\b'`, "boolean true"},
		{"nuls LIKE '%'", "boolean NULL"},
		{"arr IS NOT NULL", "boolean true"},
		// conditions
		{"CASE WHEN i > 0 THEN 'pos' WHEN i < 0 THEN 'neg' END", "string neg"},
		{"CASE i WHEN 1 THEN 1.5 WHEN -7 THEN 2 ELSE null END", "decimal(2,1) 2.0"},
		{"CASE WHEN nul > 1 THEN 1 END", "int NULL"},
		{"if(flag, 1, 2L)", "bigint 1"},
		{"coalesce(nul, i, 0)", "int -7"},
		{"nvl(nuls, 'none')", "string none"},
		{"ifnull(i, 1)", "int -7"},
		{"nvl2(nul, 1, 2)", "int 2"},
		{"nullif(b, 5)", "tinyint NULL"},
		{"greatest(1, nul, 3)", "int 3"},
		{"least(1.5, 2)", "decimal(2,1) 1.5"},
		{"isnull(nul)", "boolean true"},
		{"isnotnull(nul)", "boolean false"},
		{"isnan(d)", "boolean false"},
		// casts
		{"CAST(i AS BIGINT)", "bigint -7"},
		{"CAST(d AS INT)", "int 2"},
		{"CAST(-2.9D AS INT)", "int -2"},
		{"CAST(dec AS INT)", "int 12"},
		{"CAST(2.95 AS DECIMAL(2,1))", "decimal(2,1) 3.0"},
		{"CAST(-2.95 AS DECIMAL(2,1))", "decimal(2,1) -3.0"},
		{"CAST(' 42 ' AS INT)", "int 42"},
		{"CAST('-9' AS BIGINT)", "bigint -9"},
		{"CAST(flag AS INT)", "int 1"},
		{"CAST(2 AS BOOLEAN)", "boolean true"},
		{"CAST(i AS STRING)", "string -7"},
		{"CAST(dec AS STRING)", "string 12.35"},
		{"CAST(.05 AS STRING)", "string 0.05"},
		{"CAST(-.05 AS STRING)", "string -0.05"},
		{"CAST(flag AS STRING)", "string true"},
		{"CAST(dt AS STRING)", "string 2024-02-29"},
		{"CAST(ts AS STRING)", "string 2024-02-29 23:30:15.25"},
		{"CAST(ts AS DATE)", "date 2024-02-29"},
		{"CAST(dt AS TIMESTAMP)", "timestamp 2024-02-29 00:00:00+00"},
		{"CAST('2024-2-9' AS DATE)", "refused"},
		{"CAST('2024-02-09' AS DATE)", "date 2024-02-09"},
		{"to_date(trim(' 2024-2-9'))", "date 2024-02-09"},
		{"l::string", "string 9000000000"},
		{"string(i)", "string -7"},
		{"date(ts)", "date 2024-02-29"},
		{"CAST(dec AS DOUBLE)", "double 12.35"},
		{"CAST(null AS INT)", "int NULL"},
		// strings
		{"length(s)", "int 10"},
		{"char_length('🤦🏼')", "int 2"},
		{"trim(s)", "string Straße 1"},
		{"ltrim(s)", "string Straße 1 "},
		{"rtrim(s)", "string  Straße 1"},
		{"length(trim('\\t'))", "int 1"},
		{"lower('ÄB')", "string äb"},
		{"upper('äb-1 д')", "string ÄB-1 Д"},
		{"lower(nuls)", "string NULL"},
		{"substring(s, 2, 3)", "string Str"},
		{"substr(s, 0, 2)", "string  S"},
		{"substring('abc', 3)", "string c"},
		{"substring('abc', 2, 0)", "string "},
		{"substring('abc', 9, 2)", "string "},
		{"left('abc', 2)", "string ab"},
		{"right('abc', 2)", "string bc"},
		{"right('abc', 0)", "string "},
		{"concat(i, '/', dt)", "string -7/2024-02-29"},
		{"concat('a', nuls)", "string NULL"},
		{"'a' || 'b' || 1", "string ab1"},
		{"startswith('abc', 'ab')", "boolean true"},
		{"endswith('abc', 'ab')", "boolean false"},
		{"contains('abc', 'b')", "boolean true"},
		{"replace('abcb', 'b', 'x')", "string axcx"},
		// numbers
		{"abs(i)", "int 7"},
		{"abs(-2.5D)", "double 2.5"},
		{"floor(-2.5D)", "bigint -3"},
		{"ceil(d)", "bigint 3"},
		{"ceiling(dec)", "decimal(9,0) 13"},
		{"floor(-12.35)", "decimal(3,0) -13"},
		{"floor(i)", "bigint -7"},
		{"round(2.5D)", "double 3.0"},
		{"round(-2.5D)", "double -3.0"},
		{"round(dec, 1)", "decimal(10,1) 12.4"},
		{"round(-2.345, 2)", "decimal(4,2) -2.35"},
		{"round(7)", "int 7"},
		{"positive(3)", "int 3"},
		{"negative(3)", "int -3"},
		// dates and times
		{"year(dt)", "int 2024"},
		{"year(ts)", "int 2024"},
		{"year('2023-04-05')", "int 2023"},
		{"quarter(dt)", "int 1"},
		{"month(ts)", "int 2"},
		{"day(dt)", "int 29"},
		{"dayofmonth(dt)", "int 29"},
		{"dayofyear(dt)", "int 60"},
		{"dayofweek(dt)", "int 5"},
		{"dayofweek(DATE '2024-01-07')", "int 1"},
		{"weekday(DATE '2024-01-07')", "int 6"},
		{"weekofyear(DATE '2024-01-07')", "int 1"},
		{"hour(ts)", "int 23"},
		{"minute(ntz)", "int 30"},
		{"second(ts)", "int 15"},
		{"last_day(DATE '2024-02-03')", "date 2024-02-29"},
		{"date_add(dt, 2)", "date 2024-03-02"},
		{"date_sub(ts, 29)", "date 2024-01-31"},
		{"datediff(dt, '2024-01-31')", "int 29"},
		{"date_trunc('MONTH', ts)", "timestamp 2024-02-01 00:00:00+00"},
		{"date_trunc('week', ts)", "timestamp 2024-02-26 00:00:00+00"},
		{"date_trunc('hour', ts)", "timestamp 2024-02-29 23:00:00+00"},
		{"date_trunc('millisecond', ts)", "timestamp 2024-02-29 23:30:15.25+00"},
		{"date_trunc('quarter', dt)", "timestamp 2024-01-01 00:00:00+00"},
		{"trunc(dt, 'YEAR')", "date 2024-01-01"},
		{"trunc(ts, 'month')", "date 2024-02-01"},
		{"date_format(ts, 'yyyy-MM')", "string 2024-02"},
		{"date_format(ts, 'yyyyMMdd HH:mm:ss')", "string 20240229 23:30:15"},
		{"date_format(dt, 'dd/MM/yyyy')", "string 29/02/2024"},
	}
	eng, to := engine(t), target(t)
	var list, wants, texts []string
	for _, c := range cases {
		sql, err := translate(t, c.expression, to)
		if (err != nil) != (c.want == "refused") {
			t.Errorf("%s: %v", c.expression, err)
			continue
		}
		if err != nil {
			continue
		}
		list = append(list, "CAST("+sql.Text+" AS VARCHAR)", "typeof("+sql.Text+")")
		wants, texts = append(wants, sql.Type.SQL()+" "), append(texts, c.want)
	}
	got, err := first(t, eng, table.Query{SQL: "SELECT " + strings.Join(list, ", ") + " FROM (" + row + ") AS r"})
	if err != nil {
		t.Fatal(err)
	}
	for i, kind := range wants {
		if kind+got[2*i] != texts[i] {
			t.Errorf("%s is %q, want %q", list[2*i], kind+got[2*i], texts[i])
		}
		claimed, err := txlog.ParseType(strings.TrimSpace(kind))
		if err != nil {
			t.Fatal(err)
		}
		name, _ := table.TypeSQL(claimed)
		if name == "TIMESTAMPTZ" {
			name = "TIMESTAMP WITH TIME ZONE"
		}
		if got[2*i+1] != name {
			t.Errorf("%s has the type %s, want %s", list[2*i], got[2*i+1], name)
		}
	}
}

// What Spark stops at is an error, never a NULL, an infinity or a wrapped number.
func TestErrorsOfRows(t *testing.T) {
	eng, to := engine(t), target(t)
	for _, expression := range []string{
		"2147483647 + mixed", "9223372036854775807 + l", "b * 100Y", "i / 0", "d / 0.0", "i % 0", "d % 0", "i DIV 0",
		"CAST(l AS INT)", "CAST('1.5x' AS INT)", "CAST('' AS INT)", "CAST('1.5' AS INT)", "CAST(1e30 AS BIGINT)",
		"CAST(s AS DATE)", "to_date(concat('2024-02-3', b))", "upper(s)", "lower('İ')", "lower('ΟΔΟΣ')", "abs(-128Y)", "- CAST(-128 AS TINYINT)",
		"CAST(date_add(dt, 3000000) AS STRING)", "big * 1",
	} {
		sql, err := translate(t, expression, to)
		if expression == "big * 1" {
			if err == nil {
				t.Errorf("%s: translated to %s", expression, sql.Text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		got, err := first(t, eng, table.Query{SQL: "SELECT " + sql.Text + " FROM (" + row + ") AS r"})
		if err == nil {
			t.Errorf("%s is %v, want an error", expression, got)
		}
	}
}

// What is not known to mean the same is refused, with the part and the whole in the message.
func TestRefusals(t *testing.T) {
	to := target(t)
	for expression, part := range map[string]string{
		"rand() > 0.5":                    "rand",
		"s RLIKE '^a'":                    "RLIKE",
		"s ILIKE 'a'":                     "ILIKE",
		"i | 1":                           "|",
		"nosuch > 1":                      "nosuch",
		"st.nosuch > 1":                   "st.nosuch",
		"i.x > 1":                         "no struct",
		"s > 1":                           "string",
		"dec / 2":                         "decimals",
		"dec % 2":                         "decimals",
		"f + i":                           "float",
		"i AND true":                      "condition",
		"arr[0] > 1":                      "elements",
		"size(arr) > 1":                   "size",
		"round(d, 2)":                     "round",
		"substring(s, -2)":                "substring",
		"substring(s, i)":                 "substring",
		"CAST(d AS STRING)":               "cast",
		"CAST(d AS DECIMAL(10,2))":        "cast",
		"CAST(s AS DOUBLE)":               "cast",
		"CAST(arr AS STRING)":             "cast",
		"CAST(i AS array<int>)":           "array",
		"CAST(i AS nonsense)":             "nonsense",
		"date_format(ts, 'EEEE')":         "EEEE",
		"date_format(dt, 'HH')":           "HH",
		"date_trunc('century', ts)":       "century",
		"trunc(dt, 'day')":                "day",
		"current_timestamp() > ts":        "current_timestamp",
		"now() > ts":                      "now",
		"current_date > dt":               "current_date",
		"(SELECT 1) = 1":                  "subqueries",
		"i IN (SELECT 1)":                 "subqueries",
		"count(*) > 1":                    "count",
		"i > 1 -- comment":                "comment",
		"i > /* x */ 1":                   "comment",
		"'a''b' = s":                      "doubled quote",
		"'a":                              "does not end",
		"`a":                              "does not end",
		"i >":                             "missing",
		"i > 1 2":                         "2",
		"(i > 1":                          ")",
		"- - 1":                           "sign",
		"s LIKE nuls":                     "LIKE",
		"s LIKE 'a\\\\x'":                 "escape",
		"s LIKE 'a' ESCAPE '/'":           "ESCAPE",
		"DATE '2024-02-30' = dt":          "2024-02-30",
		"TIMESTAMP '2024-02-30 1:2' = ts": "2024-02-30",
		"X'1F' = bin":                     "X",
		"INTERVAL 1 DAY":                  "INTERVAL",
		"1.5F = f":                        "1.5F",
		"12345678901234567890123456789012345678901 > big": "1234567890",
		"arr = arr":                          "array",
		"coalesce()":                         "coalesce",
		"length(1, 2)":                       "length",
		"length(bin)":                        "length",
		"trim(BOTH 'x' FROM s)":              "FROM",
		"sum(DISTINCT i)":                    "DISTINCT",
		"transform(arr, x -> x + 1)":         "->",
		"dt - ts":                            "-",
		strings.Repeat("(", 200) + "1":       "nested",
		strings.Repeat("NOT ", 200) + "flag": "nested",
		strings.Repeat("x", 70_000):          "longer",
		"":                                   "missing",
		"i ~ 1":                              "~",
		"i # 1":                              "#",
	} {
		sql, err := translate(t, expression, to)
		var refused *sparksql.Error
		if !errors.As(err, &refused) {
			t.Errorf("%.60s: %v, translated to %+v", expression, err, sql)
			continue
		}
		if !strings.Contains(refused.What, part) {
			t.Errorf("%.60s: %q does not name %q", expression, refused.What, part)
		}
		if len(expression) < 500 && !strings.Contains(err.Error(), strings.TrimSpace(expression)) {
			t.Errorf("%s is not in %q", expression, err)
		}
	}
}

// The characters that lower and upper take have one other case, the same everywhere: Go's tables are a witness.
func TestCasesOfCharacters(t *testing.T) {
	eng, to := engine(t), target(t)
	for name, cased := range map[string]func(rune) rune{"lower": unicode.ToLower, "upper": unicode.ToUpper} {
		sql, err := translate(t, name+"(s)", to)
		if err != nil {
			t.Fatal(err)
		}
		// One query over all characters: those that are refused become NULL.
		text := strings.Replace(sql.Text, "error(", "(SELECT NULL::VARCHAR WHERE 'x' <> ", 1)
		rows, err := eng.Query(t.Context(), table.Query{
			SQL: "SELECT i, " + text + " FROM (SELECT i, chr(CAST(i AS INTEGER)) AS s FROM range(1, 130000) x(i) WHERE i NOT BETWEEN 55296 AND 57343) AS r",
		})
		if err != nil {
			t.Fatal(err)
		}
		taken := 0
		for r, err := range rows.All {
			if err != nil {
				t.Fatal(err)
			}
			if r[1] == nil {
				continue
			}
			taken++
			if c, want := rune(r[0].(int64)), string(cased(rune(r[0].(int64)))); r[1] != want {
				t.Errorf("%s(%q, U+%04X) is %q, want %q", name, c, c, r[1], want)
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		if taken < 40_000 {
			t.Errorf("%s takes %d characters only", name, taken)
		}
	}
}

func TestColumnsAndZones(t *testing.T) {
	to := target(t)
	for expression, want := range map[string]string{
		"I + mixed + i":                         "i Mixed false",
		"st.x > 1":                              "st false",
		"hour(ts)":                              "ts true",
		"CAST(ts AS DATE)":                      "ts true",
		"ts = TIMESTAMP '2024-01-01'":           "ts true",
		"ts = TIMESTAMP '2024-01-01T00:00:00Z'": "ts false",
		"hour(ntz)":                             "ntz false",
		"year(dt)":                              "dt false",
		"1":                                     " false",
	} {
		sql, err := translate(t, expression, to)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got := fmt.Sprint(strings.Join(sql.Columns, " "), " ", sql.Zoned); got != want {
			t.Errorf("%s: %q, want %q", expression, got, want)
		}
	}
}

// Times are taken apart in the zone of the session, as in Spark.
func TestZone(t *testing.T) {
	eng, to := engine(t), target(t)
	sql, err := translate(t, "concat(CAST(ts AS DATE), ' ', hour(ts), ' ', CAST(ts AS STRING), ' ', date_format(ts, 'HH'))", to)
	if err != nil {
		t.Fatal(err)
	}
	got, err := first(t, eng, table.Query{SQL: "SELECT " + sql.Text + " FROM (" + row + ") AS r", TimeZone: "Asia/Tokyo"})
	if err != nil || got[0] != "2024-03-01 8 2024-03-01 08:30:15.25 08" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestNow(t *testing.T) {
	eng, to := engine(t), target(t)
	to.Columns, to.Now = nil, time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
	sql, err := translate(t, "concat(current_timestamp(), ' ', current_date, ' ', now())", to)
	if err != nil {
		t.Fatal(err)
	}
	got, err := first(t, eng, table.Query{SQL: "SELECT " + sql.Text})
	if want := "2026-03-04 05:06:07.000008 2026-03-04 2026-03-04 05:06:07.000008"; err != nil || got[0] != want {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := translate(t, "i + 1", to); err == nil {
		t.Error("a default may not name columns")
	}
}

// Whatever the text, reading it ends, and what is translated has a type.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"i > 1 AND s LIKE 'a%'", "CASE WHEN d IN (1, 2.5) THEN `a.b` ELSE -1 END", "CAST(ts AS DATE) <=> dt", "'\\u0041'"} {
		f.Add(seed)
	}
	to := target(f)
	f.Fuzz(func(t *testing.T, text string) {
		sql, err := translate(t, text, to)
		if (err == nil) != (sql != nil) || err == nil && (sql.Text == "" || sql.Type == nil) {
			t.Errorf("%q: %+v, %v", text, sql, err)
		}
	})
}
