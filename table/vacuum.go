package table

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// Vacuum deletes the files under a table that no retained version needs, and what writers that died left behind.
//
// What a version of the last Retain needs stays, and so does every file younger than Retain: a writer may be about to
// commit it. Time travel to versions before that is over afterwards.
type Vacuum struct {
	// Retain replaces the property delta.deletedFileRetentionDuration. Shorter than the property needs Force: below
	// the age of the longest running reader or writer, vacuum breaks it.
	Retain *time.Duration
	Force  bool
	// DryRun lists and deletes nothing.
	DryRun bool
	// Meta: only UserMetadata, Extra and Tags may be set; a vacuum changes no data that a txn could stand for.
	Meta ChangeMeta
}

// VacuumResult says what a Vacuum deleted, or would delete. JSON names are stable; sizes in bytes.
type VacuumResult struct {
	Table         string        `json:"table"`
	Operation     string        `json:"operation"` // VACUUM
	VersionBefore txlog.Version `json:"version_before"`
	VersionAfter  txlog.Version `json:"version_after"` // VACUUM START and VACUUM END are commits
	DryRun        bool          `json:"dry_run"`

	RetainMilliseconds int64     `json:"retain_milliseconds"`
	Cutoff             time.Time `json:"cutoff"` // by the clock of the store

	ObjectsListed int   `json:"objects_listed"`
	ObjectsKept   int   `json:"objects_kept"`  // by the log, by age, or hidden by their names
	FilesDeleted  int   `json:"files_deleted"` // in a dry run: that would be
	BytesDeleted  int64 `json:"bytes_deleted"`
	// Objects are the first VacuumObjectsShown of the deleted files, in the order of their names.
	Objects []VacuumObject `json:"objects"`
	// MoreToDo is set when one run could not hold all names, or not delete them all in half of VacuumWindow: run again.
	MoreToDo bool `json:"more_to_do"`

	Milliseconds int64    `json:"milliseconds"`
	TxnID        string   `json:"txn_id,omitempty"` // of VACUUM END
	Warnings     []string `json:"warnings,omitempty"`
}

// VacuumObject is a file that vacuum deletes.
type VacuumObject struct {
	Path     string    `json:"path"` // relative to the table, decoded
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
}

// Bounds of one vacuum.
const (
	VacuumObjectsShown = 1000
	vacuumObjectsMax   = 1_000_000
	vacuumBatch        = 1000 // keys of one delete
)

// ErrRetention says that a vacuum would keep less than the table promises. Terminal: ask for more, or use Force when
// no reader or writer is older than that.
var ErrRetention = errors.New("retention is shorter than the table's")

// Vacuum loads the newest snapshot, lists the table once, and deletes in batches. The deletion is framed by the
// commits VACUUM START and VACUUM END, as Spark writes them; with nothing to delete there are none. In between, a
// Restore of what may be going is refused: see [ErrVacuumRunning].
//
// Protocol: no action is written. Rules: delta.md §13.
// Errors:   ErrRetention, ErrReadOnly, ErrInvalidRequest, txlog.ErrUnsupportedFeature (a table that we may not write
// is not vacuumed), those of the store. After an error some of the files may be gone; none of them was needed.
// Cost:     one listing of the table; one delete for each 1000 files.
func (t *Table) Vacuum(ctx context.Context, v Vacuum) (*VacuumResult, error) {
	begin := t.opts.Log.Clock.Now()
	res, err := t.vacuum(ctx, v)
	if err != nil {
		return nil, fmt.Errorf("vacuum %s: %w", t.URL(), err)
	}
	res.Milliseconds = clock.Since(t.opts.Log.Clock, begin).Milliseconds()
	return res, nil
}

func (t *Table) vacuum(ctx context.Context, v Vacuum) (*VacuumResult, error) {
	if len(v.Meta.Txns) > 0 || v.Meta.Fence != nil || v.Meta.Operation != "" || len(v.Meta.Parameters) > 0 {
		return nil, fmt.Errorf("%w: a vacuum carries no txn, fence, operation or parameters of its caller", ErrInvalidRequest)
	}
	if _, err := t.writable(); err != nil {
		return nil, err
	}
	if err := t.Refresh(ctx); err != nil { // the newest snapshot, and loaded before the listing begins
		return nil, err
	}
	s, err := t.writable()
	if err != nil {
		return nil, err
	}
	retain, err := vacuumRetention(s, v)
	if err != nil {
		return nil, err
	}
	now, err := t.storeTime(ctx, s)
	if err != nil {
		return nil, err
	}
	res := &VacuumResult{
		Table: t.URL(), Operation: "VACUUM", VersionBefore: s.Version(), VersionAfter: s.Version(), DryRun: v.DryRun,
		RetainMilliseconds: retain.Milliseconds(), Cutoff: now.Add(-retain), Objects: []VacuumObject{},
	}
	keep, err := t.vacuumKeep(ctx, s, res.Cutoff, retain)
	if err != nil {
		return nil, err
	}
	doomed, err := t.vacuumList(ctx, keep, res)
	if err != nil || len(doomed) == 0 || v.DryRun {
		return res, err
	}
	return res, t.vacuumDelete(ctx, s, v, doomed, res)
}

// vacuumRetention is how long files live after their removal.
func vacuumRetention(s *txlog.Snapshot, v Vacuum) (time.Duration, error) {
	promised, err := deletedFileRetention(s)
	if err != nil || v.Retain == nil {
		return promised, err
	}
	if *v.Retain < 0 {
		return 0, fmt.Errorf("%w: negative retention %s", ErrInvalidRequest, *v.Retain)
	}
	if *v.Retain < promised && !v.Force {
		return 0, fmt.Errorf("%w: %s, the table promises %s (delta.deletedFileRetentionDuration)", ErrRetention, *v.Retain, promised)
	}
	return *v.Retain, nil
}

// storeTime is the time by the clock that stamps the files: that of the store.
func (t *Table) storeTime(ctx context.Context, s *txlog.Snapshot) (time.Time, error) {
	now, err := t.log.StoreTime(ctx, s)
	if err == nil && now.IsZero() {
		now = t.opts.Log.Clock.Now()
	}
	return now, err
}

// vacuumDelete commits VACUUM START, decides once more what goes, deletes, and commits VACUUM END. See vacuumWatch for
// what the two notes mean to a RESTORE.
func (t *Table) vacuumDelete(ctx context.Context, s *txlog.Snapshot, v Vacuum, doomed []objectstore.Info, res *VacuumResult) error {
	promised, err := deletedFileRetention(s)
	if err != nil {
		return err
	}
	deadline := vacuumDeadline{t: t, began: t.opts.Log.Clock.Now()}
	start, err := t.vacuumNote(ctx, s, v, "VACUUM START", map[string]string{
		"retentionCheckEnabled":    strconv.FormatBool(!v.Force),
		"defaultRetentionMillis":   strconv.FormatInt(promised.Milliseconds(), 10),
		"specifiedRetentionMillis": strconv.FormatInt(res.RetainMilliseconds, 10),
		vacuumCutoff:               strconv.FormatInt(res.Cutoff.UnixMilli(), 10),
	}, map[string]string{
		"numFilesToDelete": metric(int64(len(doomed))), "sizeOfDataToDelete": metric(res.BytesDeleted),
	})
	if err != nil {
		return err
	}
	deadline.start, res.VersionAfter = start.Version, start.Version
	// A RESTORE may have brought files back before the START, and they may have been removed anew.
	if s, err = t.log.Update(ctx, s); err != nil {
		return err
	}
	t.advance(s)
	keep, err := t.vacuumKeep(ctx, s, res.Cutoff, time.Duration(res.RetainMilliseconds)*time.Millisecond)
	if err != nil {
		return err
	}
	spared := doomed[:0]
	for _, d := range doomed {
		if !keep.keeps(d) {
			spared = append(spared, d)
		}
	}
	deleted, failure := t.vacuumBatches(ctx, spared, deadline)
	res.setDeleted(spared, deleted, keep.prefix, len(doomed))
	status := "COMPLETED"
	if failure != nil {
		status = "FAILED"
	}
	end, err := t.vacuumNote(ctx, s, v, "VACUUM END", map[string]string{
		"status": status, vacuumStartVersion: strconv.FormatInt(int64(start.Version), 10),
	}, map[string]string{
		"numDeletedFiles": metric(int64(deleted)), "numVacuumedDirectories": metric(int64(folders(spared[:deleted]))),
	})
	if err != nil { // the files are gone: that the note is missing is no failure of the deletion
		res.Warnings = append(res.Warnings, fmt.Sprintf("VACUUM END: %v", err))
	} else {
		res.VersionAfter, res.TxnID = end.Version, end.TxnID
	}
	if err := t.Refresh(ctx); err != nil {
		res.Warnings = append(res.Warnings, err.Error())
	}
	return failure
}

// vacuumBatches deletes in order until all is gone or the deadline has passed, and says how many went.
func (t *Table) vacuumBatches(ctx context.Context, doomed []objectstore.Info, deadline vacuumDeadline) (deleted int, err error) {
	for deleted < len(doomed) {
		late, err := deadline.passed(ctx)
		if late || err != nil {
			return deleted, err
		}
		batch := doomed[deleted:min(deleted+vacuumBatch, len(doomed))]
		keys := make([]string, len(batch))
		for i, d := range batch {
			keys[i] = d.Key
		}
		if err := t.Store().Delete(ctx, keys...); err != nil {
			return deleted, fmt.Errorf("delete: %w", err)
		}
		deleted += len(batch)
	}
	return deleted, nil
}

// setDeleted corrects the plan by what has happened; planned is how many objects it named.
func (r *VacuumResult) setDeleted(doomed []objectstore.Info, deleted int, prefix string, planned int) {
	r.ObjectsKept += planned - deleted
	r.FilesDeleted, r.BytesDeleted, r.Objects = deleted, 0, []VacuumObject{}
	r.MoreToDo = r.MoreToDo || deleted < len(doomed)
	for _, d := range doomed[:deleted] {
		r.BytesDeleted += d.Size
		if len(r.Objects) < VacuumObjectsShown {
			r.Objects = append(r.Objects, VacuumObject{Path: strings.TrimPrefix(d.Key, prefix), Size: d.Size, Modified: d.Modified})
		}
	}
}

// vacuumNote commits a commitInfo alone. Changes of the table by others do not matter to a note: it goes on top of
// whatever is newest.
func (t *Table) vacuumNote(ctx context.Context, s *txlog.Snapshot, v Vacuum, name string, parameters, metrics map[string]string) (*txlog.Committed, error) {
	for attempt := int64(1); ; attempt++ {
		tx := t.log.Begin(s, txlog.Operation{
			Name: name, Parameters: parameters, Metrics: metrics,
			UserMetadata: v.Meta.UserMetadata, Tags: v.Meta.Tags, Extra: v.Meta.Extra, BlindAppend: true,
		})
		c, err := tx.Commit(ctx)
		if err == nil || !errors.Is(err, txlog.ErrConflict) || attempt >= t.opts.limits().CommitAttempts {
			return c, err
		}
		if s, err = t.log.Update(ctx, s); err != nil {
			return nil, err
		}
		if err := s.CheckWritable(); err != nil {
			return nil, err
		}
	}
}

// folders counts the folders that objects lie in.
func folders(objects []objectstore.Info) int {
	seen := map[string]bool{}
	for _, o := range objects {
		seen[o.Key[:strings.LastIndexByte(o.Key, '/')+1]] = true
	}
	return len(seen)
}

// deletedFileRetention is how long the table promises to keep removed files. A value that cannot be read is an
// error: nobody knows what was promised.
func deletedFileRetention(s *txlog.Snapshot) (time.Duration, error) {
	text, has := s.Property("delta.deletedFileRetentionDuration")
	if !has {
		return txlog.DefaultDeletedFileRetention, nil
	}
	d, err := txlog.ParseInterval(text)
	if err != nil {
		return 0, fmt.Errorf("%w: delta.deletedFileRetentionDuration: %w", ErrProperty, err)
	}
	return d, nil
}
