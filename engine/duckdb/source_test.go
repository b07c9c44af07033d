package duckdb_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
)

// readSources runs a SELECT over files of these names and contents, as relation s, and returns its rows as text.
func readSources(t *testing.T, external table.External, sql string, files ...string) ([]string, error) {
	t.Helper()
	root := t.TempDir()
	store, err := file.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // nothing was written
	rel := table.Relation{External: &external}
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(root, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
		rel.Files = append(rel.Files, table.RelationFile{Store: store, Key: files[i], Size: int64(len(files[i+1]))})
	}
	e, err := duckdb.Open(duckdb.Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close() //nolint:errcheck // a test of reading
	rows, err := e.Query(t.Context(), table.Query{SQL: sql, Relations: map[string]table.Relation{"s": rel}})
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // a test of reading
	var out []string
	for row, err := range rows.All {
		if err != nil {
			return nil, err
		}
		out = append(out, strings.TrimSpace(fmt.Sprintln(row...)))
	}
	return out, nil
}

func manyRows() []byte {
	var b bytes.Buffer
	b.WriteString("id,name\n")
	for i := range 50_000 {
		fmt.Fprintf(&b, "%d,%x\n", i, i*2654435761)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstandard(t *testing.T, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close() //nolint:errcheck // it has no stream
	return w.EncodeAll(data, nil)
}

// A stream that ends early, or whose checksum is wrong, was taken for one that ends there.
func TestTruncatedPackedSourceIsNotReadInPart(t *testing.T) {
	rows := manyRows()
	gz, zst := gzipped(t, rows), zstandard(t, rows)
	noSum := append(bytes.Clone(gz[:len(gz)-8]), make([]byte, 8)...)
	for _, c := range []struct {
		name string
		data []byte
		want string // in the error; "" is all rows
	}{
		{"whole.csv.gz", gz, ""},
		{"two.csv.gz", append(bytes.Clone(gzipped(t, rows[:1000])), gzipped(t, rows[1000:])...), ""},
		{"cut.csv.gz", gz[:len(gz)/2], "cut off"},
		{"sum.csv.gz", noSum, "checksum"},
		{"notgzip.csv.gz", rows, "gzip"},
		{"whole.csv.zst", zst, ""},
		{"two.csv.zst", append(bytes.Clone(zstandard(t, rows[:1000])), zstandard(t, rows[1000:])...), ""},
		{"cut.csv.zst", zst[:len(zst)/2], "cut off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readSources(t, table.External{Format: "csv"}, "SELECT count(*), sum(id) FROM s", c.name, string(c.data))
			if c.want == "" {
				if err != nil || len(got) != 1 || got[0] != "50000 1249975000" {
					t.Errorf("got %v, %v; want 50000 rows", got, err)
				}
				return
			}
			if !errors.Is(err, table.ErrSourceFile) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.name) {
				t.Errorf("got %v, %v; want a source file error with %q", got, err, c.want)
			}
		})
	}
}

// Where a CSV is broken, DuckDB's search for a dialect turned quoting off, or left lines out, until it fitted.
func TestBrokenCSVIsNotReadInAnotherDialect(t *testing.T) {
	far := string(manyRows())
	for _, c := range []struct {
		name, text string
		line       string // in the error; "" is no error
		want       string // of the rows, or in the error
	}{
		{"quotes", "id,name\n1,\"a,b\"\n2,\"c \"\"x\"\"\"\n", "", `1 a,b|2 c "x"`},
		{"quoted lines", "id,name\n1,\"a\nb\"\n", "", "1 a\nb"},
		{"semicolons", "id;name\n1;a,b\n", "", "1 a,b"},
		{"tabs", "id\tname\n1\ta|b\n", "", "1 a|b"},
		{"bars", "id|name\n1|a;b\n", "", "1 a;b"},
		{"one column", "id\n1\n2\n", "", "1|2"},
		{"byte order mark", "\ufeffid,name\r\n1,a\r\n", "", "1 a"},
		{"carriage returns", "id,name\r1,a\r2,b\r", "", "1 a|2 b"},
		{"hash is no comment", "id,name\n1,#a\n#2,b # c\n", "", "1 #a|#2 b # c"},
		{"no rows", "id,name\n", "", ""},
		{"quote never closed", "id,name\n1,\"open\n2,b\n3,c\n4,\"d\"\n", "line 2", "quote"},
		{"quote inside", "id,name\n1,a\n2,\"b\"c\n", "line 3", "quote"},
		{"more fields", "id,name\n1,a,x\n2,b\n", "line 2", "3 fields"},
		{"fewer fields", "id,name,x\n1,a,x\n2,b\n", "line 3", "2 fields"},
		{"title", "My report\n\nid,name\n1,a\n", "line 3", "fields"},
		{"quote never closed, far away", far + "7,\"open\n" + far, "line 50002", "quote"},
		{"more fields, far away", far + "7,b,c\n8,d\n", "line 50002", "Expected Number of Columns: 2 Found: 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readSources(t, table.External{Format: "csv", AllText: true}, "SELECT * FROM s", "in.csv", c.text)
			if c.line == "" {
				if text := strings.Join(got, "|"); err != nil || text != c.want {
					t.Errorf("got %q, %v; want %q", text, err, c.want)
				}
				return
			}
			if !errors.Is(err, table.ErrSourceFile) {
				t.Fatalf("got %d rows, %v; want a source file error", len(got), err)
			}
			for _, want := range []string{"/in.csv", c.line, c.want} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
}

// Files with delimiters of their own are read side by side, by the names of their columns.
func TestSourcesOfSeveralDialects(t *testing.T) {
	got, err := readSources(t, table.External{Format: "csv"}, "SELECT id, name FROM s ORDER BY id",
		"a.csv", "id,name\n1,a\n", "b.csv", "name;id\nb,c;2\n", "c.csv", "name,id\nd,3\n")
	if text := strings.Join(got, "|"); err != nil || text != "1 a|2 b,c|3 d" {
		t.Errorf("got %q, %v", text, err)
	}
}

// The error named the table that was read or written, not the file that is broken.
func TestBrokenSourceIsNamed(t *testing.T) {
	for _, c := range []struct{ format, name, text, want string }{
		{"ndjson", "in.ndjson", "{\"a\":1}\n{\"a\":\n", "in.ndjson, line 3: "},
		{"parquet", "in.parquet", "hello, I am no Parquet file at all", "in.parquet: malformed parquet file: no footer"},
		{"csv", "in.csv", "id,name\n1,a\n2,\xff\xfe\n", "Invalid unicode"},
		{"csv", "in.csv", "id\n" + strings.Repeat("1\n", 30_000) + "x\n", "line 30002: Error when converting column \"id\""},
	} {
		t.Run(c.format, func(t *testing.T) {
			got, err := readSources(t, table.External{Format: c.format}, "SELECT * FROM s", c.name, c.text)
			if !errors.Is(err, table.ErrSourceFile) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.name) {
				t.Errorf("got %d rows, %v; want a source file error with %q", len(got), err, c.want)
			}
		})
	}
}

// One UUID in a JSON object made the whole object a text in DuckDB's own notation.
func TestOddLeafOfJSONDoesNotMakeItsObjectText(t *testing.T) {
	got, err := readSources(t, table.External{Format: "json"}, "SELECT * FROM s", "in.json",
		`{"a":{"u":"550e8400-e29b-41d4-a716-446655440000","n":1},"b":{"t":"12:30:00"},"c":{"big":18446744073709551615},"d":[{"u":"550e8400-e29b-41d4-a716-446655440000"}]}`)
	want := "[550e8400-e29b-41d4-a716-446655440000 1] [12:30:00] [18446744073709551615] [[550e8400-e29b-41d4-a716-446655440000]]"
	if text := strings.Join(got, "|"); err != nil || text != want {
		t.Errorf("got %q, %v; want %q", text, err, want)
	}
}
