package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/table/statement"
)

// sqlDocument is the page whose examples TestSQLDocument runs.
const sqlDocument = "../../docs/sql.md"

// example is a block of SQL in a document and, behind it, the block of what it prints.
type example struct {
	sql      string
	from, to int // of the text of the second block
}

// examplesIn finds the examples of a document.
func examplesIn(t *testing.T, document string) []example {
	t.Helper()
	var out []example
	blocks := regexp.MustCompile("(?ms)^```sql\n(.*?)^```\n\n```text\n(.*?)^```\n")
	for _, at := range blocks.FindAllStringSubmatchIndex(document, -1) {
		out = append(out, example{document[at[2]:at[3]], at[4], at[5]})
	}
	if all := strings.Count(document, "```sql\n"); all != len(out) || all == 0 {
		t.Fatalf("%d blocks of SQL, %d with what they print", all, len(out))
	}
	return out
}

// steady takes out of an output what no two runs have in common.
func steady(s string) string {
	for pattern, with := range map[string]string{
		`\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ`: "TIME", `\b\d+\.\d s\b`: "SECONDS", `\b\d+ ms\b`: "SECONDS", `\b\d+(\.\d+)? [kM]?B\b`: "BYTES",
		`file://\S+/lake`: "file:///lake", `(?m)[ \t]+$`: "", `-{3,}`: "---", ` {2,}`: " ",
	} {
		s = regexp.MustCompile(pattern).ReplaceAllString(s, with)
	}
	return s
}

// Every example of docs/sql.md prints what stands there, in the order in which it stands there. -update writes what they
// print now into the page.
func TestSQLDocument(t *testing.T) {
	page, err := os.ReadFile(sqlDocument)
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Abs(sqlDocument)
	if err != nil {
		t.Fatal(err)
	}
	document := string(page)
	examples := examplesIn(t, document)
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{
		"lake.yml":    "version: 1\nproject: docs\ndefault_environment: dev\nenvironments:\n  dev: {warehouse: file://lake}\n",
		"updates.csv": "id,status,total\n2,sent,9.50\n4,new,12.00\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := func(name string) string {
		switch name {
		case "HOME", "LAKE_TEMP_DIR":
			return dir
		case "LAKE_FILE_CACHE":
			return filepath.Join(dir, ".files")
		case "USER":
			return "ada"
		}
		return ""
	}
	var seen []statement.Statement
	var updated strings.Builder
	at := 0
	for _, e := range examples {
		args := []string{"query", e.sql}
		if strings.Contains(e.sql, "DROP TABLE") || strings.HasPrefix(e.sql, "VACUUM") {
			args = append(args, "--yes")
		}
		var out, notes bytes.Buffer
		a := newApp(strings.NewReader(""), &out, &notes, env, clock.System(), clock.SystemRand())
		code := a.run(t.Context(), args)
		got := strings.ReplaceAll(out.String(), " "+loginName(env)+" ", " ada ")
		if code != exitDone {
			got += notes.String()
		} else if all, err := statement.Parse(e.sql); err == nil {
			seen = append(seen, all...)
		}
		if want := document[e.from:e.to]; steady(got) != steady(want) && !*update {
			t.Errorf("%s\nprints\n%s\nthe page says\n%s", e.sql, got, want)
		}
		updated.WriteString(document[at:e.from] + strings.ReplaceAll(got, "file://"+dir, "file:///home/ada"))
		at = e.to
	}
	if *update {
		updated.WriteString(document[at:])
		if err := os.WriteFile(path, []byte(updated.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	everyStatement(t, seen)
}

// everyStatement demands that a document has an example of each statement.
func everyStatement(t *testing.T, seen []statement.Statement) {
	t.Helper()
	kinds := map[string]bool{}
	for _, s := range seen {
		switch s := s.(type) {
		case *statement.Select:
			kinds["SELECT"] = true
		case *statement.Merge:
			kinds["MERGE"] = true
		case *statement.Update:
			kinds["UPDATE"] = true
		case *statement.Delete:
			kinds["DELETE"] = true
		case *statement.Insert:
			kinds[map[bool]string{false: "INSERT", true: "INSERT OVERWRITE"}[s.Overwrite && s.Where == ""]] = true
			kinds["REPLACE WHERE"] = kinds["REPLACE WHERE"] || s.Where != ""
		case *statement.Create:
			kinds[map[bool]string{false: "CREATE TABLE", true: "CREATE OR REPLACE TABLE"}[s.OrReplace]] = true
			kinds["AS SELECT"] = kinds["AS SELECT"] || s.SQL != ""
		case *statement.Alter:
			kinds["ALTER TABLE"] = true
		case *statement.Drop:
			kinds["DROP TABLE"] = true
		case *statement.Describe:
			kinds["DESCRIBE"] = true
			kinds["DESCRIBE HISTORY"] = kinds["DESCRIBE HISTORY"] || s.History
			kinds["DESCRIBE DETAIL"] = kinds["DESCRIBE DETAIL"] || s.Detail
		case *statement.ShowTables:
			kinds["SHOW TABLES"] = true
		case *statement.Optimize:
			kinds["OPTIMIZE"] = true
		case *statement.Vacuum:
			kinds["VACUUM"] = true
		case *statement.Restore:
			kinds["RESTORE"] = true
		}
	}
	for _, kind := range []string{
		"SELECT", "MERGE", "UPDATE", "DELETE", "INSERT", "INSERT OVERWRITE", "REPLACE WHERE", "CREATE TABLE", "CREATE OR REPLACE TABLE", "AS SELECT",
		"ALTER TABLE", "DROP TABLE", "DESCRIBE", "DESCRIBE HISTORY", "DESCRIBE DETAIL", "SHOW TABLES", "OPTIMIZE", "VACUUM", "RESTORE",
	} {
		if !kinds[kind] {
			t.Errorf("no example of %s succeeds", kind)
		}
	}
}
