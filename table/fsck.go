package table

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// Fsck says how closely a table is looked at. Nothing is ever changed.
type Fsck struct {
	// Deep reads every row with Engine, to see whether pages decode and statistics keep their word.
	Deep   bool
	Engine Engine // needed with Deep
}

// FindingClass names a kind of damage. Names are stable.
type FindingClass string

// The classes of findings about the log.
const (
	VersionMissing      FindingClass = "version-missing"
	CommitDamaged       FindingClass = "commit-damaged"
	StateIncomplete     FindingClass = "state-incomplete" // no protocol or no metaData
	LogUnreadable       FindingClass = "log-unreadable"
	FileLiveTwice       FindingClass = "file-live-twice"
	TxnIDTwice          FindingClass = "txn-id-twice"
	TaskWentBack        FindingClass = "task-went-back"
	FeatureUndeclared   FindingClass = "feature-undeclared"
	OrphanCommit        FindingClass = "orphan-commit"
	CheckpointDamaged   FindingClass = "checkpoint-damaged"
	CheckpointLacksFile FindingClass = "checkpoint-lacks-file"
	CheckpointKeepsFile FindingClass = "checkpoint-keeps-file"
	CheckpointDiffers   FindingClass = "checkpoint-differs"
	CheckpointPartGone  FindingClass = "checkpoint-part-missing"
	CompactionDiffers   FindingClass = "compaction-differs"
	HintAstray          FindingClass = "hint-astray"
	ChecksumDiffers     FindingClass = "checksum-differs"
	ChecksumUnreadable  FindingClass = "checksum-unreadable"
)

// The classes of findings about data files, vectors and rows.
const (
	FileMissing       FindingClass = "file-missing"
	FileSizeDiffers   FindingClass = "file-size-differs"
	FooterUnreadable  FindingClass = "footer-unreadable"
	RowCountDiffers   FindingClass = "row-count-differs"
	BoundExcludes     FindingClass = "bound-excludes-value"
	NullCountDiffers  FindingClass = "null-count-differs"
	PathUnusable      FindingClass = "path-unusable"
	VectorMissing     FindingClass = "vector-missing"
	VectorDamaged     FindingClass = "vector-damaged" // magic, size, checksum, cardinality, a row beyond the file
	NotNullBroken     FindingClass = "not-null-broken"
	ConstraintBroken  FindingClass = "constraint-broken" // CHECK constraint, invariant or generated column
	RuleUnchecked     FindingClass = "rule-unchecked"    // a rule of rows that cannot be evaluated here
	RowsUnreadable    FindingClass = "rows-unreadable"
	PartitionValueBad FindingClass = "partition-value-bad"
	RowIDsClash       FindingClass = "row-ids-clash"
	ChangeFileMissing FindingClass = "change-file-missing" // of a commit within the retention of removed files
	ChangeFileDiffers FindingClass = "change-file-size-differs"
)

// FindingLevel says how bad a finding is.
type FindingLevel string

// The levels of findings.
const (
	Damage  FindingLevel = "damage"  // rows or versions are lost, wrong or unreadable
	Warning FindingLevel = "warning" // nothing is lost; somebody should look
)

// Finding is one thing that is not as it should be.
type Finding struct {
	Class  FindingClass `json:"class"`
	Level  FindingLevel `json:"level"`
	Object string       `json:"object"` // path below the table root, decoded, or "version 12"
	Detail string       `json:"detail"`
	Advice string       `json:"advice"`
}

// String is the finding in one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s: %s", f.Level, f.Class, f.Object, f.Detail)
}

// FsckReport is what a Fsck looked at and found. JSON names are stable.
type FsckReport struct {
	Table    string        `json:"table"`
	Version  txlog.Version `json:"version"` // -1: no version can be read
	Deep     bool          `json:"deep"`
	Findings []Finding     `json:"findings"`
	// MoreFindings is set when there were more than FindingsMax.
	MoreFindings bool `json:"more_findings"`

	Commits     int   `json:"commits"`
	Checkpoints int   `json:"checkpoints"` // compared with a replay
	Files       int   `json:"files"`
	Vectors     int   `json:"vectors"`
	Rows        int64 `json:"rows"`         // counted in footers
	ChangeFiles int   `json:"change_files"` // of the change data feed, within the retention of removed files

	Milliseconds int64 `json:"milliseconds"`
}

// FindingsMax bounds the findings of one report.
const FindingsMax = 1000

// Sound tells whether nothing is damaged; warnings do not count.
func (r *FsckReport) Sound() bool {
	return !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Level == Damage })
}

// Fsck checks the newest version and the whole log of the table.
//
// Errors: those of the store, ErrInvalidRequest, and txlog.ErrNotATable or ErrUnsupportedFeature: what we cannot read
// is not damaged; *limits.Error for a log with an object that is over a limit, which is not read. Damage is never an
// error, it is a finding.
// Cost: one listing and one GET for each commit, a few small requests for each live file; with Deep all of its bytes.
func (t *Table) Fsck(ctx context.Context, f Fsck) (*FsckReport, error) {
	return check(ctx, t.log, t.URL(), t.opts, f)
}

// Check is Fsck for tables that cannot be opened: exactly those are the ones to look at.
func Check(ctx context.Context, store objectstore.Store, path string, f Fsck, o ...Options) (*FsckReport, error) {
	t, err := unopened(store, path, filled(o))
	if err != nil {
		return nil, err
	}
	return check(ctx, t.log, t.URL(), t.opts, f)
}

func check(ctx context.Context, log *txlog.Log, url string, o Options, f Fsck) (*FsckReport, error) {
	if f.Deep && f.Engine == nil {
		return nil, fmt.Errorf("fsck %s: %w: a deep check reads rows and needs an engine", url, ErrInvalidRequest)
	}
	begin := o.Log.Clock.Now()
	c := &checking{
		log: log, options: o, f: f,
		report: &FsckReport{Table: url, Version: -1, Deep: f.Deep, Findings: []Finding{}},
	}
	for _, step := range []func(context.Context) error{
		c.listLog, c.commits, c.latest, c.state, c.checkpoints, c.compactions, c.hint, c.checksum, c.files, c.feed, c.rows, c.rules,
	} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("fsck %s: %w", url, err)
		}
	}
	slices.SortStableFunc(c.report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Object, b.Object))
	})
	c.report.Findings = slices.Compact(c.report.Findings)
	c.report.Milliseconds = clock.Since(o.Log.Clock, begin).Milliseconds()
	return c.report, nil
}

// checking is one run of fsck. Its steps go from the log to the rows; each adds findings and returns an error only
// when it could not look.
type checking struct {
	log     *txlog.Log
	options Options
	f       Fsck
	report  *FsckReport

	found    logObjects
	changes  feedCheck
	snapshot *txlog.Snapshot // nil: no version can be read, later steps have nothing to look at
	// readable are the indexes of live files whose footer and vector are as they should be.
	readable []int
	etags    map[int]string // of live files, so that a deep check reads the objects and no cached copy
}

// find adds a finding. What to do about it depends on the class alone.
func (c *checking) find(class FindingClass, object, format string, args ...any) {
	if len(c.report.Findings) >= FindingsMax {
		c.report.MoreFindings = true
		return
	}
	level, advice := findingAdvice(class)
	c.report.Findings = append(c.report.Findings, Finding{
		Class: class, Level: level, Object: object, Detail: fmt.Sprintf(format, args...), Advice: advice,
	})
}

// unreachable tells whether err is about the store or the caller rather than about what the store holds: then the
// check ends instead of reporting damage that may not be there.
func unreachable(err error) bool {
	for _, e := range []error{
		context.Canceled, context.DeadlineExceeded, objectstore.ErrDenied, objectstore.ErrNoBucket,
		objectstore.ErrThrottled, objectstore.ErrUnavailable,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// refused tells whether err says that an object of the log was not looked at: it is over one of our limits, or
// unreachable. What we do not read we do not call damaged.
func refused(err error) bool {
	var over *limits.Error
	return errors.As(err, &over) || unreachable(err)
}

// findingAdvice says how bad a class is and what to do next.
func findingAdvice(class FindingClass) (FindingLevel, string) {
	switch class {
	case VersionMissing, CommitDamaged, LogUnreadable, StateIncomplete:
		return Damage, "bring the object back from a copy of the store; a checkpoint above it keeps newer versions readable"
	case FileLiveTwice:
		return Damage, "rows of the file are counted twice; restore the last version before it appeared"
	case TxnIDTwice:
		return Damage, "one piece of work was committed twice; look at both versions with history and restore the one before the second"
	case TaskWentBack:
		return Warning, "another engine restored the table; look with history at what the task did before it"
	case FeatureUndeclared:
		return Damage, "readers that trust the protocol read this table wrongly; declare the feature with the engine that wrote the table"
	case OrphanCommit:
		return Warning, "a stalled writer came after log clean-up; its change is not part of the table, repeat it if it is missed"
	case CheckpointDamaged, CheckpointLacksFile, CheckpointKeepsFile, CheckpointDiffers:
		return Damage, "readers see the checkpoint instead of the commits; delete it as long as all commits below it are there; a later commit writes a new one"
	case CheckpointPartGone:
		return Warning, "readers ignore it; delete its parts, a later commit writes a new one"
	case CompactionDiffers:
		return Damage, "readers may take the compaction instead of its commits; delete it, nobody needs it as long as they are there"
	case HintAstray:
		return Warning, "readers list the log instead; the next checkpoint repairs it"
	case ChecksumDiffers:
		return Damage, "some writer has counted wrong: compare the version with the one before; once the rows are as they should be, delete the .crc file"
	case ChecksumUnreadable:
		return Warning, "delete the .crc file; readers do without it"
	case FileMissing, FileSizeDiffers, FooterUnreadable, RowsUnreadable, PathUnusable:
		return Damage, "bring the file back from a copy, or restore a version that does not need it"
	case RowCountDiffers, BoundExcludes, NullCountDiffers:
		return Damage, "queries may skip rows of this file; rewrite it, for example with optimize"
	case VectorMissing, VectorDamaged:
		return Damage, "deleted rows of the file cannot be told from living ones; bring the vector back, or restore a version before it"
	case NotNullBroken:
		return Damage, "update or delete the rows that have no value"
	case ConstraintBroken:
		return Damage, "some writer has not kept a rule of the table: repair or delete the rows"
	case RuleUnchecked:
		return Warning, "have the rows checked by the engine that gave the table this rule; new rows are refused here as long as it has it"
	case ChangeFileMissing, ChangeFileDiffers:
		return Damage, "the rows of the table are whole; the change data feed of that version cannot be read: bring the file back from a copy"
	case RowIDsClash:
		return Damage, "rows are right, their ids are not: do not follow rows by id; set delta.enableRowTracking to false with the engine that wrote the table"
	case PartitionValueBad:
		return Damage, "the rows of the file cannot be read; restore a version before it was added"
	}
	return Damage, "look at the object"
}

// at names a version as the object of a finding.
func at(v txlog.Version) string { return fmt.Sprintf("version %d", v) }
