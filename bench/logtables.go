package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/txlog"
)

// logTables are tables that are all log: their data files are named and nowhere. The same numbers give the same bytes.
type logTables struct {
	Dir     string `json:"dir"`
	Adds    int    `json:"adds"`    // files of one commit
	Plan    int    `json:"plan"`    // files of the table that a predicate is planned on
	Commits int    `json:"commits"` // of one add each
}

// The tables. bigTable and planTable are one commit each, after the one that made them; lightTable is the files of
// bigTable in a checkpoint without statistics, fullTable in one with statistics as JSON and as a struct, and pickTable the
// files of planTable in such a one; manyTable has a commit for each file and no checkpoint.
const (
	bigTable   = "big"
	lightTable = "light"
	fullTable  = "full"
	planTable  = "plan"
	pickTable  = "pick"
	manyTable  = "many"
)

// logColumns is the schema of all of them; they are partitioned by day.
const logColumns = "id bigint, name string, day date"

// generate writes the tables, unless an earlier run with the same numbers left them.
func (d logTables) generate(ctx context.Context) error {
	done := filepath.Join(d.Dir, "complete")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	if err := os.RemoveAll(d.Dir); err != nil {
		return fmt.Errorf("clear the tables: %w", err)
	}
	for _, t := range []struct {
		name           string
		commits, files int
	}{
		{bigTable, 1, d.Adds},
		{planTable, 1, d.Plan},
		{manyTable, d.Commits, 1},
		{lightTable, 1, d.Adds},
		{fullTable, 1, d.Adds},
		{pickTable, 1, d.Plan},
	} {
		fmt.Fprintf(os.Stderr, "writing the log of %s: %d commits of %d files\n", t.name, t.commits, t.files)
		if err := d.write(t.name, t.commits, t.files); err != nil {
			return fmt.Errorf("write the log of %s: %w", t.name, err)
		}
	}
	for _, table := range []string{lightTable, fullTable, pickTable} {
		if err := d.checkpoint(ctx, table); err != nil {
			return fmt.Errorf("write the checkpoint of %s: %w", table, err)
		}
	}
	return os.WriteFile(done, nil, 0o644)
}

func (d logTables) commit(table string, v int) string {
	return filepath.Join(d.Dir, table, "_delta_log", fmt.Sprintf("%020d.json", v))
}

// write makes a table of commits × files adds.
func (d logTables) write(table string, commits, files int) error {
	if err := os.MkdirAll(filepath.Dir(d.commit(table, 0)), 0o755); err != nil {
		return err
	}
	schema, err := txlog.ParseColumns(logColumns)
	if err != nil {
		return err
	}
	properties := map[string]string{"delta.checkpointInterval": "100000"}
	if table == lightTable {
		properties["delta.checkpoint.writeStatsAsJson"], properties["delta.checkpoint.writeStatsAsStruct"] = "false", "false"
	}
	created := int64(1_767_225_600_000)
	first := []txlog.Action{
		&txlog.CommitInfo{Timestamp: created, Operation: "CREATE TABLE", TxnID: uuid(table, 0)},
		&txlog.Protocol{MinReaderVersion: 1, MinWriterVersion: 2},
		&txlog.Metadata{
			ID: uuid(table, 1), Provider: "parquet", SchemaString: schema.JSON(), PartitionColumns: []string{"day"},
			CreatedTime: &created, Configuration: properties,
		},
	}
	if err := writeLines(d.commit(table, 0), func(line func(txlog.Action) error) error {
		for _, a := range first {
			if err := line(a); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for v := range commits {
		if err := writeLines(d.commit(table, v+1), func(line func(txlog.Action) error) error {
			blind := true
			info := &txlog.CommitInfo{
				Timestamp: created + int64(v), Operation: "WRITE", TxnID: uuid(table, 2+v), IsBlindAppend: &blind,
				OperationParameters: map[string]string{"mode": "Append", "partitionBy": `["day"]`},
			}
			if err := line(info); err != nil {
				return err
			}
			for i := range files {
				if err := line(logFile(v*files + i)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// rowsPerFile are the rows that a file claims: ids i*rowsPerFile and on.
const rowsPerFile = 1000

// logFile is the add of file i: a year of partitions, paths and statistics like those of Spark.
func logFile(i int) *txlog.Add {
	day := fmt.Sprintf("2025-%02d-%02d", i/28%12+1, i%28+1)
	low, high := i*rowsPerFile, (i+1)*rowsPerFile-1
	return &txlog.Add{
		Path:            fmt.Sprintf("day=%s/part-%05d-%s.parquet", day, i%100_000, uuid("file", i)),
		PartitionValues: map[string]string{"day": day}, Size: int64(100_000 + i%50_000), ModificationTime: 1_767_225_600_000 + int64(i),
		DataChange: true,
		Stats: `{"numRecords":` + strconv.Itoa(rowsPerFile) + `,"minValues":{"id":` + strconv.Itoa(low) + `},"maxValues":{"id":` +
			strconv.Itoa(high) + `},"nullCount":{"id":0}}`,
	}
}

// uuid is made of its arguments.
func uuid(what string, n int) string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(what), uint64(n)))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

func writeLines(path string, fill func(line func(txlog.Action) error) error) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	out := bufio.NewWriterSize(f, 1<<20)
	if err := fill(func(a txlog.Action) error {
		b, err := txlog.EncodeAction(a)
		if err == nil {
			_, err = out.Write(append(b, '\n'))
		}
		return err
	}); err != nil {
		return err
	}
	return out.Flush()
}

// checkpoint writes the checkpoint of a table and takes the large commit away, so that nobody can read that instead.
func (d logTables) checkpoint(ctx context.Context, table string) error {
	store, err := file.Open(d.Dir)
	if err != nil {
		return err
	}
	l := txlog.New(store, table, txlog.Options{Clock: clock.System()})
	s, err := l.Latest(ctx)
	if err == nil {
		err = l.Checkpoint(ctx, s)
	}
	if err != nil {
		return err
	}
	if err := os.Remove(d.commit(table, 1)); err != nil {
		return err
	}
	return writeLines(d.commit(table, 2), func(line func(txlog.Action) error) error {
		return line(&txlog.CommitInfo{Timestamp: 1_767_225_600_010, Operation: "OPTIMIZE", TxnID: uuid(table, 9)})
	})
}
