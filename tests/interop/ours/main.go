// Command ours is lakectl's side of the interop run: one process that reads requests, one JSON object per line, and
// answers each with one line. It does through the table API what Spark and delta-rs do through theirs, so that writers
// can take turns on one table without a process for each turn.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// lineMax is the longest request in bytes.
const lineMax = 1 << 20

func main() {
	if err := serve(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ours:", err)
		os.Exit(1)
	}
}

// serve answers until the input ends.
func serve(ctx context.Context, in io.Reader, out io.Writer) error {
	temp, err := os.MkdirTemp("", "lakectl-interop-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }() // nothing in it is needed
	eng, err := duckdb.Open(duckdb.Options{MemoryBytes: 1 << 30, Threads: 2, TempDir: temp})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close() }() // the process ends
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, lineMax)
	w := bufio.NewWriter(out)
	for lines.Scan() {
		b, err := json.Marshal(answer(ctx, eng, lines.Bytes()))
		if err != nil {
			return err
		}
		w.Write(b)
		w.WriteByte('\n')
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return lines.Err()
}

// reply is the answer to one request: a result or an error.
type reply struct {
	Error string `json:"error,omitempty"`
	// Refused tells a refusal by name (a table feature, an operation) from other errors.
	Refused  bool                    `json:"refused,omitempty"`
	Version  txlog.Version           `json:"version"`
	Schema   string                  `json:"schema,omitempty"`   // as in metaData
	Types    []string                `json:"types,omitempty"`    // of the columns that the engine returned, as SQL
	Rows     [][]any                 `json:"rows,omitempty"`     // values as in encode
	Times    map[txlog.Version]int64 `json:"times,omitempty"`    // of versions, in milliseconds since 1970 UTC
	Findings []string                `json:"findings,omitempty"` // of fsck
}

func answer(ctx context.Context, eng table.Engine, line []byte) reply {
	var r request
	err := json.Unmarshal(line, &r)
	var a reply
	if err == nil {
		a, err = r.do(ctx, eng)
	}
	if err != nil {
		refused := errors.Is(err, txlog.ErrUnsupportedFeature) || errors.Is(err, table.ErrUnsupported)
		return reply{Error: err.Error(), Refused: refused}
	}
	return a
}
