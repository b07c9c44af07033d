package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2" // the peer that we measure against
)

// dataset is the seeded input of every measurement: the same numbers give the same bytes.
type dataset struct {
	rows  int
	files int
	dir   string
}

// columns is the schema as Delta SQL; the expressions of generate have the same order.
const columns = "id bigint, customer bigint, ordered_at timestamp_ntz, amount double, quantity int, status string, region string, note string"

// generate writes the input files and the merge source, unless an earlier run with the same numbers left them.
func (d dataset) generate(ctx context.Context, p *peer) error {
	done := filepath.Join(d.dir, "complete")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	for _, sub := range []string{"input", "source"} {
		if err := os.MkdirAll(filepath.Join(d.dir, sub), 0o755); err != nil {
			return fmt.Errorf("create the data folder: %w", err)
		}
	}
	per := (d.rows + d.files - 1) / d.files
	for i := range d.files {
		from, to := i*per, min((i+1)*per, d.rows)
		if err := p.exec(ctx, fmt.Sprintf("COPY (%s) TO '%s' (FORMAT parquet, COMPRESSION zstd)",
			rowsSQL(fmt.Sprintf("range(%d, %d)", from, to), 0), d.input(i))); err != nil {
			return err
		}
	}
	// Half of the source hits rows spread over the whole table, half is new.
	step := max(1, d.rows/50_000)
	source := fmt.Sprintf("%s UNION ALL %s",
		rowsSQL(fmt.Sprintf("range(0, %d, %d)", d.rows, step), 7),
		rowsSQL(fmt.Sprintf("range(%d, %d)", d.rows, d.rows+d.rows/step), 7))
	if err := p.exec(ctx, fmt.Sprintf("COPY (%s) TO '%s' (FORMAT parquet, COMPRESSION zstd)", source, d.source())); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o600)
}

// rowsSQL derives every column from the id by a hash, so that no generator state is needed.
func rowsSQL(ids string, salt int) string {
	h := func(n int) string { return fmt.Sprintf("(hash(range + %d * 1000003) %% ", n+salt) }
	return strings.Join([]string{
		"SELECT range::BIGINT AS id",
		h(1) + "2000000)::BIGINT AS customer",
		"TIMESTAMP '2024-01-01' + to_seconds(" + h(2) + "31536000)::BIGINT) AS ordered_at",
		h(3) + "1000000)::DOUBLE / 100 AS amount",
		h(4) + "100)::INTEGER AS quantity",
		"['new','paid','packed','sent','done','returned'][1 + " + h(5) + "6)::INTEGER] AS status",
		"['north','south','east','west','centre'][1 + " + h(6) + "5)::INTEGER] AS region",
		"'order note ' || " + h(7) + "5000)::VARCHAR AS note FROM " + ids,
	}, ", ")
}

func (d dataset) input(i int) string {
	return filepath.Join(d.dir, "input", fmt.Sprintf("part-%03d.parquet", i))
}
func (d dataset) source() string { return filepath.Join(d.dir, "source", "updates.parquet") }

// peer is plain DuckDB with the same threads and memory as our engine.
type peer struct{ db *sql.DB }

func openPeer(threads int, memory string) (*peer, error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, fmt.Errorf("open DuckDB: %w", err)
	}
	db.SetMaxOpenConns(1)
	for _, s := range []string{fmt.Sprintf("SET threads = %d", threads), fmt.Sprintf("SET memory_limit = '%s'", memory), "SET enable_external_file_cache = false"} {
		if _, err := db.Exec(s); err != nil {
			return nil, fmt.Errorf("configure DuckDB: %w", err)
		}
	}
	return &peer{db}, nil
}

func (p *peer) exec(ctx context.Context, q string) error {
	if _, err := p.db.ExecContext(ctx, q); err != nil {
		return fmt.Errorf("plain DuckDB: %w", err)
	}
	return nil
}
