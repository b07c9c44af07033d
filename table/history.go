package table

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/lakectl/lakectl/txlog"
)

// HistoryEntry is one version of a table as people want to see it. JSON names are stable; sizes in bytes.
type HistoryEntry struct {
	Version   txlog.Version `json:"version"`
	Timestamp time.Time     `json:"timestamp"` // of time travel, UTC
	Operation string        `json:"operation"` // "" where the writer left no commitInfo

	// Rows by kind, from the writer's metrics or else from the statistics of the new files; nil is unknown. An
	// operation that only rearranges rows, OPTIMIZE for example, has none.
	RowsInserted *int64 `json:"rows_inserted,omitempty"`
	RowsUpdated  *int64 `json:"rows_updated,omitempty"`
	RowsDeleted  *int64 `json:"rows_deleted,omitempty"`

	FilesAdded      int   `json:"files_added"`
	FilesRemoved    int   `json:"files_removed"`
	DeletionVectors int   `json:"deletion_vectors"` // files that stayed with other deleted rows
	BytesAdded      int64 `json:"bytes_added"`
	BytesRemoved    int64 `json:"bytes_removed"`

	By      string `json:"by"`      // pipeline, user, or the name of the engine
	Details string `json:"details"` // what the parameters say, in a few words

	Parameters     map[string]string          `json:"parameters,omitempty"`
	Metrics        map[string]string          `json:"metrics,omitempty"`
	UserMetadata   string                     `json:"user_metadata,omitempty"`
	Engine         string                     `json:"engine,omitempty"`
	IsolationLevel string                     `json:"isolation_level,omitempty"`
	ReadVersion    *txlog.Version             `json:"read_version,omitempty"`
	BlindAppend    *bool                      `json:"blind_append,omitempty"`
	TxnID          string                     `json:"txn_id,omitempty"`
	Txns           map[string]int64           `json:"txns,omitempty"` // progress of applications in this version
	Extra          map[string]json.RawMessage `json:"extra,omitempty"`
}

// History yields the versions of the table, newest first, as far as the log reaches back. The first error ends it.
//
// Cost: one listing of the log and one request for each version that is asked for.
func (t *Table) History(ctx context.Context, o ...txlog.HistoryOptions) iter.Seq2[*HistoryEntry, error] {
	var options txlog.HistoryOptions
	if len(o) > 0 {
		options = o[len(o)-1]
	}
	if t.pinned && options.To == nil {
		v := t.Snapshot().Version()
		options.To = &v
	}
	return func(yield func(*HistoryEntry, error) bool) {
		for c, err := range t.log.History(ctx, options) {
			if err != nil {
				yield(nil, fmt.Errorf("history of %s: %w", t.URL(), err))
				return
			}
			if !yield(historyEntry(c), nil) {
				return
			}
		}
	}
}

func historyEntry(c *txlog.Commit) *HistoryEntry {
	e := &HistoryEntry{Version: c.Version, Timestamp: c.Timestamp.UTC()}
	inserted, changed := countActions(e, c.Actions)
	info := c.Info
	if info == nil {
		info = &txlog.CommitInfo{}
	}
	e.Operation, e.Parameters, e.Metrics = info.Operation, info.OperationParameters, info.OperationMetrics
	e.UserMetadata, e.Engine, e.IsolationLevel = info.UserMetadata, info.EngineInfo, info.IsolationLevel
	e.ReadVersion, e.BlindAppend, e.TxnID, e.Extra = info.ReadVersion, info.IsBlindAppend, info.TxnID, info.Extra
	e.RowsInserted = firstMetric(info.OperationMetrics, "numTargetRowsInserted", "numInsertedRows", "num_target_rows_inserted", "num_added_rows")
	e.RowsUpdated = firstMetric(info.OperationMetrics, "numTargetRowsUpdated", "numUpdatedRows", "num_target_rows_updated", "num_updated_rows")
	e.RowsDeleted = firstMetric(info.OperationMetrics, "numTargetRowsDeleted", "numDeletedRows", "num_target_rows_deleted", "num_deleted_rows")
	if e.RowsInserted == nil && writesNew(info.Operation) {
		e.RowsInserted = firstMetric(info.OperationMetrics, "numOutputRows")
	}
	if !changed {
		e.RowsInserted, e.RowsUpdated, e.RowsDeleted = nil, nil, nil
	} else if e.RowsInserted == nil && e.RowsUpdated == nil && e.RowsDeleted == nil && e.FilesRemoved+e.DeletionVectors == 0 {
		e.RowsInserted = inserted
	}
	e.By, e.Details = writtenBy(info), operationDetails(e.Operation, e.Parameters)
	return e
}

// countActions counts files: one path in an add and a remove is a file that stays with other deleted rows. It also
// returns the rows of new files, nil when unknown, and whether any action changes data.
func countActions(e *HistoryEntry, actions []txlog.Action) (inserted *int64, changed bool) {
	removed := map[string]int64{}
	for _, a := range actions {
		if r, ok := a.(*txlog.Remove); ok {
			size := int64(0)
			if r.Size != nil {
				size = *r.Size
			}
			removed[r.Path] = size
			changed = changed || r.DataChange
		}
	}
	rows, known := int64(0), true
	for _, a := range actions {
		switch a := a.(type) {
		case *txlog.Add:
			changed = changed || a.DataChange
			if _, twice := removed[a.Path]; twice {
				e.DeletionVectors++
				delete(removed, a.Path)
				continue
			}
			e.FilesAdded++
			e.BytesAdded += a.Size
			if st, err := txlog.ParseStats(a.Stats); err == nil && st != nil && st.NumRecords != nil {
				rows += *st.NumRecords
			} else {
				known = false
			}
		case *txlog.Txn:
			if e.Txns == nil {
				e.Txns = map[string]int64{}
			}
			e.Txns[a.AppID] = a.Version
		}
	}
	for _, size := range removed {
		e.FilesRemoved++
		e.BytesRemoved += size
	}
	if known {
		inserted = &rows
	}
	return inserted, changed
}

// writesNew tells whether numOutputRows of an operation counts new rows; MERGE and UPDATE count copied ones with it.
func writesNew(operation string) bool {
	switch operation {
	case "WRITE", "STREAMING UPDATE", "CREATE TABLE AS SELECT", "REPLACE TABLE AS SELECT",
		"CREATE OR REPLACE TABLE AS SELECT", "COPY INTO":
		return true
	}
	return false
}

// firstMetric is the first of the named metrics that is a number.
func firstMetric(metrics map[string]string, names ...string) *int64 {
	for _, name := range names {
		if n, err := strconv.ParseInt(metrics[name], 10, 64); err == nil {
			return &n
		}
	}
	return nil
}

// writtenBy is who to ask about a version: the pipeline of its run, the user, or the engine.
func writtenBy(info *txlog.CommitInfo) string {
	var lake struct {
		Run   string `json:"run"`
		Model string `json:"model"`
		User  string `json:"user"`
	}
	if raw := info.Extra["lake"]; raw != nil && json.Unmarshal(raw, &lake) == nil {
		pipeline, _, _ := strings.Cut(lake.Run, "/")
		for _, name := range []string{pipeline, lake.Model, lake.User} {
			if name != "" {
				return name
			}
		}
	}
	var user string
	if raw := info.Extra["userName"]; raw != nil && json.Unmarshal(raw, &user) == nil && user != "" {
		return user
	}
	engine, _, _ := strings.Cut(info.EngineInfo, " ")
	name, _, _ := strings.Cut(engine, "/")
	return name
}

// operationDetails says in a few words what an operation was asked to do.
func operationDetails(operation string, p map[string]string) string {
	var out []string
	say := func(word string, values ...string) {
		if text := strings.Join(values, ", "); text != "" {
			out = append(out, word+text)
		}
	}
	switch operation {
	case "MERGE":
		say("on ", listText(p["predicate"])...)
	case "OPTIMIZE":
		say("zorder by ", listText(p["zOrderBy"])...)
		say("where ", listText(p["predicate"])...)
	case "DELETE", "UPDATE":
		say("where ", listText(p["predicate"])...)
	case "RESTORE":
		say("to version ", p["version"])
		say("to ", p["timestamp"])
	case "VACUUM START":
		if ms, err := strconv.ParseInt(p["specifiedRetentionMillis"], 10, 64); err == nil {
			say("retain ", (time.Duration(ms) * time.Millisecond).String())
		}
	case "VACUUM END":
		say("", strings.ToLower(p["status"]))
	default:
		if words, is := alterDetails(operation, p); is {
			say("", words...)
			break
		}
		say("", strings.ToLower(p["mode"]))
		say("where ", listText(p["predicate"])...)
		say("partitioned by ", listText(p["partitionBy"])...)
	}
	return strings.Join(out, " ")
}

// listText reads a parameter that is a JSON list of strings, as Spark writes lists, or plain text.
func listText(text string) []string {
	var list []string
	if json.Unmarshal([]byte(text), &list) == nil {
		return list
	}
	if text == "" || text == "null" {
		return nil
	}
	return []string{text}
}
