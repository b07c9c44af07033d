package simulation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lakectl/lakectl/internal/robustness/history"
	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
)

// archive keeps every version of a table as it was first created, whatever log clean-up does later.
type archive struct {
	table   string
	store   *mem.Store // the versions, at logops.Path
	bodies  [][]byte
	landed  []moment
	orphans map[string]int // txnId to the version that it created anew where clean-up had been
	faults  []string       // what no writer may do
}

// moment is when something happened.
type moment struct {
	step int
	at   time.Time // the store's clock
}

func newArchive(table string) *archive {
	return &archive{table: table, store: mem.New("archive"), orphans: map[string]int{}}
}

// version tells which version of which table an object is.
func version(key string) (table string, v int, ok bool) {
	table, name, ok := strings.Cut(key, "/_delta_log/")
	digits, commit := strings.CutSuffix(name, ".json")
	v, err := strconv.Atoi(digits)
	return table, v, ok && commit && err == nil
}

// add takes a commit that was created just now.
func (a *archive) add(ctx context.Context, v int, body []byte, now moment) error {
	switch {
	case v < len(a.bodies):
		if !bytes.Equal(body, a.bodies[v]) { // a late copy of the very commit changes nothing
			a.orphans[info(body).TxnID] = v
		}
		return nil
	case v > len(a.bodies):
		a.faults = append(a.faults, fmt.Sprintf("%s: version %d was created after version %d", a.table, v, len(a.bodies)-1))
		return nil
	}
	a.bodies, a.landed = append(a.bodies, bytes.Clone(body)), append(a.landed, now)
	_, err := a.store.Put(ctx, fmt.Sprintf("%s/_delta_log/%020d.json", logops.Path, v), objectstore.Bytes(body), objectstore.CreateOnly)
	return err
}

// newestAt is the newest version that had landed before a step; -1 for none.
func (a *archive) newestAt(step int) int {
	v := -1
	for v+1 < len(a.landed) && a.landed[v+1].step <= step {
		v++
	}
	return v
}

// commitInfo is what the judge wants of a commitInfo.
type commitInfo struct {
	TxnID             string `json:"txnId"`
	Operation         string `json:"operation"`
	InCommitTimestamp *int64 `json:"inCommitTimestamp"`
}

// info reads the first line of a commit; everything of ours begins with it.
func info(body []byte) commitInfo {
	first, _, _ := bytes.Cut(body, []byte("\n"))
	var line struct {
		CommitInfo commitInfo `json:"commitInfo"`
	}
	if err := json.Unmarshal(first, &line); err != nil {
		return commitInfo{}
	}
	return line.CommitInfo
}

// notes are events for the commits that their writers do not tell of: the two notes of a vacuum. Their ends are open.
func (a *archive) notes() (out []history.Event) {
	for v, body := range a.bodies {
		if c := info(body); strings.HasPrefix(c.Operation, "VACUUM") {
			out = append(out, history.Event{
				At: int64(a.landed[v].step), Process: "vacuum", Call: v, Kind: history.Commit, Table: a.table, TxnID: c.TxnID,
			})
		}
	}
	return out
}
