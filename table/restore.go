package table

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// Restore makes an old version the newest, as a new commit: nothing of the versions in between is lost.
type Restore struct {
	// Version or Time, exactly one. Time takes the newest version that was committed at or before it.
	Version *txlog.Version
	Time    time.Time
	// DryRun says what would change, and changes nothing.
	DryRun bool
	Meta   ChangeMeta
}

// RestoreResult says what a Restore did, or would do. JSON names are stable; sizes in bytes, time in milliseconds.
type RestoreResult struct {
	Table           string        `json:"table"`
	Operation       string        `json:"operation"` // RESTORE
	VersionBefore   txlog.Version `json:"version_before"`
	VersionAfter    txlog.Version `json:"version_after"`
	RestoredVersion txlog.Version `json:"restored_version"`
	DryRun          bool          `json:"dry_run"`
	AlreadyDone     bool          `json:"already_done"` // every txn entry of the request was in the table

	FilesRestored   int   `json:"files_restored"`
	FilesRemoved    int   `json:"files_removed"`
	BytesRestored   int64 `json:"bytes_restored"`
	BytesRemoved    int64 `json:"bytes_removed"`
	DeletionVectors int   `json:"deletion_vectors"` // files that stay, with the deleted rows of the old version
	FilesAfter      int   `json:"files_after"`
	BytesAfter      int64 `json:"bytes_after"`
	Txns            int   `json:"txns"` // application ids that go back to an old value
	MetadataChanged bool  `json:"metadata_changed"`

	Milliseconds int64    `json:"milliseconds"`
	TxnID        string   `json:"txn_id,omitempty"`
	Attempts     int      `json:"attempts"`
	Warnings     []string `json:"warnings,omitempty"`
}

// MissingFilesError lists files that a version needs and the store no longer has. It matches txlog.ErrFileGone.
// Terminal: the version cannot be read or restored; restore a later one.
type MissingFilesError struct {
	Version   txlog.Version
	Paths     []string // up to MissingFilesMax, decoded
	Count     int
	Retention time.Duration // how long the table keeps removed files
}

// MissingFilesMax is how many paths a [MissingFilesError] lists.
const MissingFilesMax = 10

// Error names the files and the property that decides how long they live.
func (e *MissingFilesError) Error() string {
	more := ""
	if e.Count > len(e.Paths) {
		more = fmt.Sprintf(" and %d more", e.Count-len(e.Paths))
	}
	return fmt.Sprintf("%v: version %d needs %s%s; the table keeps removed files for %s (delta.deletedFileRetentionDuration)",
		txlog.ErrFileGone, e.Version, strings.Join(e.Paths, ", "), more, e.Retention)
}

// Unwrap makes the error match txlog.ErrFileGone.
func (e *MissingFilesError) Unwrap() error { return txlog.ErrFileGone }

// Restore commits the difference between the newest version and the wanted one: files, deletion vectors, schema and
// properties, metadata domains, and the txn values, so that pipelines go back with their data. The protocol never
// goes down. When another writer was faster it plans again on the newest version.
//
// Errors: *MissingFilesError when vacuum took a file; *VacuumRunningError while one may be about to; txlog.ErrHistoryGone and the errors of time travel;
// ErrReadOnly, ErrInvalidRequest, ErrUnsupported; those of a commit.
// Cost:   a request for each file that comes back, or one listing when they are many; a GET for each commit of the last
// hours; one PUT.
func (t *Table) Restore(ctx context.Context, r Restore) (*RestoreResult, error) {
	begin := t.opts.Log.Clock.Now()
	res, err := t.restore(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("restore %s: %w", t.URL(), err)
	}
	res.Milliseconds = clock.Since(t.opts.Log.Clock, begin).Milliseconds()
	return res, nil
}

func (t *Table) restore(ctx context.Context, r Restore) (*RestoreResult, error) {
	if (r.Version == nil) == r.Time.IsZero() {
		return nil, fmt.Errorf("%w: a restore needs a version or a time, and not both", ErrInvalidRequest)
	}
	watch := &vacuumWatch{t: t}
	for attempt := 1; ; attempt++ {
		if _, err := t.writable(); err != nil {
			return nil, err
		}
		if err := t.Refresh(ctx); err != nil {
			return nil, err
		}
		s, err := t.writable()
		if err != nil {
			return nil, err
		}
		target, err := t.restoreTarget(ctx, r)
		if err != nil {
			return nil, err
		}
		done, err := alreadyDone(s, r.Meta.Txns)
		if err != nil {
			return nil, err
		}
		p, err := t.planRestore(s, target, r.Meta.Txns)
		if err != nil {
			return nil, err
		}
		if done {
			return &RestoreResult{
				Table: t.URL(), Operation: "RESTORE", VersionBefore: s.Version(), VersionAfter: s.Version(),
				RestoredVersion: target.Version(), DryRun: r.DryRun, AlreadyDone: true,
				FilesAfter: s.Files().Len(), BytesAfter: s.SizeBytes(),
			}, nil
		}
		p.res.DryRun, p.res.Attempts = r.DryRun, attempt
		if err := watch.check(ctx, s, target, p.back); err != nil {
			return nil, err
		}
		if err := t.checkPresent(ctx, target, p.back); err != nil {
			return nil, err
		}
		if r.DryRun || len(p.actions) == 0 {
			return p.res, nil
		}
		err = t.commitRestore(ctx, s, target, r, p, watch)
		if err == nil {
			return p.res, nil
		}
		if !errors.Is(err, txlog.ErrConflict) || errors.Is(err, ErrVacuumRunning) || int64(attempt) >= t.opts.limits().CommitAttempts {
			return nil, err
		}
	}
}

func (t *Table) restoreTarget(ctx context.Context, r Restore) (*txlog.Snapshot, error) {
	var target *txlog.Snapshot
	var err error
	if r.Version != nil {
		target, err = t.log.At(ctx, *r.Version)
	} else {
		target, err = t.log.AtTime(ctx, r.Time)
	}
	if err != nil {
		return nil, err
	}
	if err := target.CheckReadable(); err != nil {
		return nil, err
	}
	return target, target.LoadStats(ctx) // its files come back with theirs
}

// restorePlan is the difference between two versions.
type restorePlan struct {
	actions []txlog.Action
	back    []int // files of the target that become live again
	res     *RestoreResult
}

func (t *Table) planRestore(s, target *txlog.Snapshot, own []txlog.Txn) (*restorePlan, error) {
	p := &restorePlan{res: &RestoreResult{
		Table: t.URL(), Operation: "RESTORE", VersionBefore: s.Version(), VersionAfter: s.Version(),
		RestoredVersion: target.Version(), FilesAfter: target.Files().Len(), BytesAfter: target.SizeBytes(),
	}}
	metadata, err := restoredMetadata(s, target)
	if err != nil {
		return nil, err
	}
	if metadata != nil {
		p.actions = append(p.actions, metadata)
		p.res.MetadataChanged = true
	}
	t.restoreFiles(s, target, p)
	if v, _ := s.Property(propAppendOnly); strings.EqualFold(v, "true") && p.res.FilesRemoved+p.res.DeletionVectors > 0 {
		return nil, fmt.Errorf("%w: the table is append only (%s) and the restore removes rows", ErrInvalidRequest, propAppendOnly)
	}
	p.actions = append(p.actions, restoredDomains(s, target)...)
	for _, txn := range restoredTxns(s, target, t.opts.Log.Clock.Now().UnixMilli()) {
		if !slices.ContainsFunc(own, func(o txlog.Txn) bool { return o.AppID == txn.AppID }) {
			p.actions = append(p.actions, txn)
			p.res.Txns++
		}
	}
	for i := range own {
		p.actions = append(p.actions, &own[i])
	}
	return p, nil
}

// restoreFiles compares the live files of both versions by path and vector.
func (t *Table) restoreFiles(s, target *txlog.Snapshot, p *restorePlan) {
	type key struct{ path, vector string }
	old, cur := target.Files(), s.Files()
	wanted := make(map[key]bool, old.Len())
	wantedPath := make(map[string]bool, old.Len())
	for i := range old.Len() {
		wanted[key{old.Path(i), vectorID(old.DeletionVector(i))}] = true
		wantedPath[old.Path(i)] = true
	}
	now := t.opts.Log.Clock.Now().UnixMilli()
	have, havePath := make(map[key]bool, cur.Len()), make(map[string]bool, cur.Len())
	for i := range cur.Len() {
		k := key{cur.Path(i), vectorID(cur.DeletionVector(i))}
		have[k], havePath[k.path] = true, true
		if wanted[k] {
			continue
		}
		p.actions = append(p.actions, removeOf(cur.Add(i), now, true))
		if !wantedPath[k.path] {
			p.res.FilesRemoved++
			p.res.BytesRemoved += cur.Size(i)
		}
	}
	for i := range old.Len() {
		k := key{old.Path(i), vectorID(old.DeletionVector(i))}
		if have[k] {
			continue
		}
		add := old.Add(i)
		add.DataChange = true
		p.actions = append(p.actions, add)
		p.back = append(p.back, i)
		if havePath[k.path] {
			p.res.DeletionVectors++
		} else {
			p.res.FilesRestored++
			p.res.BytesRestored += old.Size(i)
		}
	}
}

// restoredMetadata is the metadata of the target, or nil when it is in force. What belongs to the log rather than to
// a version of the rows stays as it is now.
func restoredMetadata(s, target *txlog.Snapshot) (*txlog.Metadata, error) {
	if err := checkRestoredProtocol(s.Protocol(), target.Protocol()); err != nil {
		return nil, err
	}
	now, out := s.Metadata(), *target.Metadata()
	out.ID = now.ID
	out.Configuration = maps.Clone(out.Configuration)
	if out.Configuration == nil {
		out.Configuration = map[string]string{}
	}
	for _, k := range []string{
		"delta.enableInCommitTimestamps", "delta.inCommitTimestampEnablementVersion", "delta.inCommitTimestampEnablementTimestamp",
		"delta.columnMapping.maxColumnId", txlog.RowTrackingKey, txlog.RowTrackingSuspendedKey,
		txlog.RowIDColumnKey, txlog.RowVersionColumnKey,
	} {
		delete(out.Configuration, k)
		if v, ok := now.Configuration[k]; ok {
			out.Configuration[k] = v
		}
	}
	if err := remapped(&out, s, target); err != nil {
		return nil, err
	}
	if err := keepMarksOf(&out, s); err != nil {
		return nil, err
	}
	if out.SchemaString == now.SchemaString && out.Name == now.Name && out.Description == now.Description &&
		slices.Equal(out.PartitionColumns, now.PartitionColumns) && maps.Equal(out.Configuration, now.Configuration) {
		return nil, nil
	}
	return &out, nil
}

// checkRestoredProtocol demands that the protocol in force knows everything that the old one knew. It only grows, so
// anything else means that a feature was dropped on purpose.
func checkRestoredProtocol(now, old *txlog.Protocol) error {
	var lost []string
	for _, f := range slices.Concat(old.ReaderFeatures, old.WriterFeatures) {
		if now.MinWriterVersion >= 7 && !slices.Contains(now.ReaderFeatures, f) && !slices.Contains(now.WriterFeatures, f) && !slices.Contains(lost, f) {
			lost = append(lost, f)
		}
	}
	if now.MinReaderVersion < old.MinReaderVersion || now.MinWriterVersion < old.MinWriterVersion {
		lost = append(lost, fmt.Sprintf("protocol (%d,%d)", old.MinReaderVersion, old.MinWriterVersion))
	}
	if len(lost) > 0 {
		return fmt.Errorf("%w: the old version needs %s, which the table has given up since", ErrUnsupported, strings.Join(lost, ", "))
	}
	return nil
}

// restoredDomains are the metadata domains that go back. The high-water mark of row ids never does.
func restoredDomains(s, target *txlog.Snapshot) []txlog.Action {
	var out []txlog.Action
	old := map[string]bool{}
	for d := range target.Domains() {
		old[d.Domain] = true
		if now, ok := s.Domain(d.Domain); d.Domain != domainRowTracking && (!ok || now.Configuration != d.Configuration) {
			out = append(out, &txlog.DomainMetadata{Domain: d.Domain, Configuration: d.Configuration})
		}
	}
	for d := range s.Domains() {
		if !old[d.Domain] && d.Domain != domainRowTracking {
			out = append(out, &txlog.DomainMetadata{Domain: d.Domain, Configuration: d.Configuration, Removed: true})
		}
	}
	return out
}

const domainRowTracking = "delta.rowTracking"

// restoredTxns write back the txn values of the target, so that a pipeline finds its progress as old as its rows. An
// application id that came later cannot be taken out of a log: it gets the value that means nothing was done.
func restoredTxns(s, target *txlog.Snapshot, now int64) []*txlog.Txn {
	var out []*txlog.Txn
	for id, cur := range s.Txns() {
		want := absentTxn(id)
		if old, ok := target.Txn(id); ok {
			want = old.Version
		}
		if want != cur.Version {
			out = append(out, &txlog.Txn{AppID: id, Version: want, LastUpdated: &now})
		}
	}
	return out
}

// absentTxn is the version that says the same as no txn at all. For the application ids of pipelines the version is
// a plan number or a bitmap, and nothing is 0; for everyone else it numbers batches or versions from 0.
func absentTxn(appID string) int64 {
	if parts := strings.Split(appID, "/"); parts[0] == "lake" && len(parts) >= 4 && parts[3] != "src" {
		return 0
	}
	return -1
}

// headsMax is how many files are asked for one by one; for more, one listing is cheaper.
const headsMax = 64

// checkPresent demands that the store still has the files that come back, with their size, and their vectors.
func (t *Table) checkPresent(ctx context.Context, target *txlog.Snapshot, back []int) error {
	sizes := map[string]int64{} // by object key; -1 any size
	for _, i := range back {
		key, err := target.Files().Key(i)
		if err != nil {
			return err
		}
		sizes[key] = target.Files().Size(i)
		vector, ok, err := target.Files().DeletionVector(i).Path()
		if err != nil {
			return err
		}
		if ok && vector.Absolute == "" {
			sizes[t.log.Key(vector.Key)] = -1
		}
	}
	missing, err := t.absent(ctx, sizes)
	if err != nil || len(missing) == 0 {
		return err
	}
	retention, err := deletedFileRetention(target)
	if err != nil {
		return err
	}
	e := &MissingFilesError{Version: target.Version(), Count: len(missing), Retention: retention}
	for _, key := range missing[:min(len(missing), MissingFilesMax)] {
		e.Paths = append(e.Paths, strings.TrimPrefix(key, t.prefix()))
	}
	return e
}

// absent returns the keys that the store does not have with the size wanted, sorted.
func (t *Table) absent(ctx context.Context, sizes map[string]int64) ([]string, error) {
	found := make(map[string]int64, len(sizes))
	if len(sizes) > headsMax {
		for info, err := range t.Store().List(ctx, t.prefix(), "") {
			if err != nil {
				return nil, fmt.Errorf("list: %w", err)
			}
			if _, wanted := sizes[info.Key]; wanted {
				found[info.Key] = info.Size
			}
		}
	}
	var missing []string
	for _, key := range slices.Sorted(maps.Keys(sizes)) {
		size, ok := found[key]
		if !ok && (len(sizes) <= headsMax || !strings.HasPrefix(key, t.prefix())) {
			info, err := t.Store().Head(ctx, key)
			if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
				return nil, err
			}
			size, ok = info.Size, err == nil
		}
		if !ok || sizes[key] >= 0 && size != sizes[key] {
			missing = append(missing, key)
		}
	}
	return missing, nil
}

func (t *Table) commitRestore(ctx context.Context, s, target *txlog.Snapshot, r Restore, p *restorePlan, watch *vacuumWatch) error {
	parameters := map[string]string{"version": strconv.FormatInt(int64(target.Version()), 10)}
	if r.Version == nil {
		parameters = map[string]string{"timestamp": r.Time.UTC().Format(time.RFC3339Nano)}
	}
	maps.Copy(parameters, r.Meta.Parameters)
	tx := t.log.Begin(s, txlog.Operation{
		Name: cmp.Or(r.Meta.Operation, "RESTORE"), Parameters: parameters, UserMetadata: r.Meta.UserMetadata, Tags: r.Meta.Tags, Extra: r.Meta.Extra,
		Metrics: map[string]string{
			"tableSizeAfterRestore": metric(p.res.BytesAfter), "numOfFilesAfterRestore": metric(int64(p.res.FilesAfter)),
			"numRemovedFiles": metric(int64(p.res.FilesRemoved)), "numRestoredFiles": metric(int64(p.res.FilesRestored)),
			"removedFilesSize": metric(p.res.BytesRemoved), "restoredFilesSize": metric(p.res.BytesRestored),
		},
	})
	tx.ReadWhole()
	for id := range s.Txns() {
		tx.ReadAppID(id)
	}
	// A vacuum may run beside us: its START may be among the winners, and what comes back must still be there.
	tx.Fence(func(next *txlog.Snapshot) error {
		if err := watch.check(ctx, next, target, p.back); err != nil {
			return err
		}
		return t.checkPresent(ctx, target, p.back)
	})
	if r.Meta.Fence != nil {
		tx.Fence(r.Meta.Fence)
	}
	tx.Stage(p.actions...)
	c, err := tx.Commit(ctx)
	if err != nil {
		return err
	}
	p.res.VersionAfter, p.res.TxnID = c.Version, c.TxnID
	p.res.Attempts += c.Attempts - 1
	for _, w := range c.Warnings {
		p.res.Warnings = append(p.res.Warnings, w.Error())
	}
	if err := t.Refresh(ctx); err != nil { // committed: nothing after it may be an error
		p.res.Warnings = append(p.res.Warnings, err.Error())
	}
	return nil
}

// objectName is the decoded name of a path of the log, for people.
func objectName(p string) string {
	d, err := txlog.DecodePath(p)
	switch {
	case err != nil:
		return clip(p)
	case d.Absolute != "":
		return path.Base(d.Absolute)
	}
	return d.Key
}
