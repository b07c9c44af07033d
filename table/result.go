package table

import (
	"encoding/json"

	"github.com/lakectl/lakectl/txlog"
)

// Result says what a write did, or would do. Its JSON names are stable: fields are added, never renamed.
//
// Units: sizes in bytes, time in milliseconds. A dry run has VersionAfter equal to VersionBefore.
type Result struct {
	Table         string        `json:"table"`          // URL, without credentials
	Operation     string        `json:"operation"`      // the name in commitInfo: "WRITE", "MERGE", "OPTIMIZE" …
	VersionBefore txlog.Version `json:"version_before"` // -1: there was no table
	VersionAfter  txlog.Version `json:"version_after"`
	// AlreadyDone: every txn entry of the request was in the table, nothing was staged or written.
	AlreadyDone bool `json:"already_done"`

	RowsInserted  int64 `json:"rows_inserted"`
	RowsUpdated   int64 `json:"rows_updated"`
	RowsDeleted   int64 `json:"rows_deleted"` // -1: unknown, a removed file has no row count
	RowsSource    int64 `json:"rows_source"`
	RowsCopied    int64 `json:"rows_copied"`    // unchanged rows that moved to another file
	RowsUnchanged int64 `json:"rows_unchanged"` // matched rows whose new image equals the old one

	FilesTotal            int `json:"files_total"`   // live files before
	FilesScanned          int `json:"files_scanned"` // opened to find rows
	FilesMatched          int `json:"files_matched"` // of those, files with a row that changes
	FilesSkippedPartition int `json:"files_skipped_partition"`
	FilesSkippedStats     int `json:"files_skipped_stats"`
	FilesAdded            int `json:"files_added"`
	FilesRemoved          int `json:"files_removed"`
	FilesRewritten        int `json:"files_rewritten"`  // of the removed ones, files whose other rows were copied
	DeletionVectors       int `json:"deletion_vectors"` // files that got a new deletion vector
	ChangeFiles           int `json:"change_files"`     // files written for the change data feed

	BytesRead    int64 `json:"bytes_read"` // sizes of the data files that were opened: an upper bound
	BytesWritten int64 `json:"bytes_written"`
	Milliseconds int64 `json:"milliseconds"`

	TxnID    string   `json:"txn_id,omitempty"`
	Attempts int      `json:"attempts"` // versions tried, over all plans
	Warnings []string `json:"warnings,omitempty"`

	// Rebased are commits of other writers that the change landed behind as it was planned. Replanned says for each plan
	// that was given up which commit made it untrue, and why.
	Rebased   []txlog.Version `json:"rebased,omitempty"`
	Replanned []string        `json:"replanned,omitempty"`
}

// scanned adds what a scan reports.
func (r *Result) scanned(s *ScanReport) {
	r.FilesTotal = s.Files
	r.FilesScanned += s.Read
	r.FilesSkippedPartition += s.SkippedByPartition
	r.FilesSkippedStats += s.SkippedByStats
	r.BytesRead += s.BytesRead
}

// ChangeMeta is what every write may carry besides its rows.
type ChangeMeta struct {
	UserMetadata string
	// Txns makes a write repeatable: when the table already has every (AppID, Version) given here, or a greater
	// version, the write is done and changes nothing (Result.AlreadyDone). They commit with the data.
	// For entries without that rule use [Change.AddTxn].
	Txns []txlog.Txn
	// Extra is added to commitInfo, by key; values are JSON.
	Extra map[string]json.RawMessage
	// Fence is asked about the snapshot that the change is based on, and about each newer one that the commit lands
	// on, before anything is visible; its error ends the write.
	Fence func(*txlog.Snapshot) error
	// Operation and Parameters replace the operation name and add to operationParameters of commitInfo.
	Operation  string
	Parameters map[string]string
	Tags       map[string]string
}
