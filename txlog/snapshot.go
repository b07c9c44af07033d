package txlog

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

// Snapshot is the table at one version. It is immutable and safe for concurrent use; what its methods return is
// shared and must not be changed.
type Snapshot struct {
	log       *Log
	version   Version
	timestamp time.Time
	inCommit  *int64 // inCommitTimestamp of the version, where the table has them
	protocol  *Protocol
	metadata  *Metadata
	schema    *Schema
	schemaErr error
	mapping   ColumnMapping
	txns      map[string]Txn
	domains   map[string]DomainMetadata // without the removed ones
	live      *liveFiles
	base      Version   // of the checkpoint that it was read from; -1 for none
	loaded    time.Time // our clock before it was read
	asOf      time.Time // the store's clock then; zero where no reply told
	created   time.Time // of the version's commit by the store's clock, half an hour late at most; zero where the commit is gone
}

// Version is the version of the snapshot.
func (s *Snapshot) Version() Version { return s.version }

// CheckpointVersion is the version of the checkpoint that the snapshot, or one that it follows, was read from; -1 for none.
func (s *Snapshot) CheckpointVersion() Version { return s.base }

// Timestamp is when the version was committed: its in-commit timestamp where the table has them, else the time of
// its object by the store's clock. UTC.
func (s *Snapshot) Timestamp() time.Time { return s.timestamp }

// Protocol is the protocol in force.
func (s *Snapshot) Protocol() *Protocol { return s.protocol }

// Metadata is the metaData in force.
func (s *Snapshot) Metadata() *Metadata { return s.metadata }

// Schema is the table's schema. Some old logs have none: an error that matches [ErrCorruptLog].
func (s *Snapshot) Schema() (*Schema, error) { return s.schema, s.schemaErr }

// PartitionColumns names the columns whose values come from the log, as metaData spells them.
func (s *Snapshot) PartitionColumns() []string { return s.metadata.PartitionColumns }

// Mapping says how columns are found in data files.
func (s *Snapshot) Mapping() ColumnMapping { return s.mapping }

// Property returns a table property by its exact key.
func (s *Snapshot) Property(key string) (string, bool) {
	v, ok := s.metadata.Configuration[key]
	return v, ok
}

// Txn returns the newest progress of an application, unless it is older than delta.setTransactionRetentionDuration.
func (s *Snapshot) Txn(appID string) (Txn, bool) {
	t, ok := s.txns[appID]
	if !ok || s.expired(t) {
		return Txn{}, false
	}
	return t, true
}

// Txns yields the progress of all applications, sorted by id.
func (s *Snapshot) Txns() iter.Seq2[string, Txn] {
	return func(yield func(string, Txn) bool) {
		for _, id := range slices.Sorted(maps.Keys(s.txns)) {
			if t := s.txns[id]; !s.expired(t) && !yield(id, t) {
				return
			}
		}
	}
}

func (s *Snapshot) expired(t Txn) bool {
	text, has := s.Property("delta.setTransactionRetentionDuration")
	if !has || t.LastUpdated == nil {
		return false
	}
	d, err := ParseInterval(text)
	return err == nil && *t.LastUpdated < s.log.options.Clock.Now().Add(-d).UnixMilli()
}

// Domain returns a metadata domain that is not removed.
func (s *Snapshot) Domain(name string) (DomainMetadata, bool) {
	d, ok := s.domains[name]
	return d, ok
}

// Files are the live data files.
func (s *Snapshot) Files() *Files { return s.live.all().files }

// Tombstones are the removed files that the log still remembers, newest first; some may be past the retention.
func (s *Snapshot) Tombstones() []*Remove { return s.live.all().tombstones }

// storeTime is a moment that the clock of the store had come to when the snapshot was read, or its version committed;
// zero where the store has told neither.
func (s *Snapshot) storeTime() time.Time {
	if s.asOf.IsZero() && !s.created.IsZero() {
		return s.created.Add(-freshFor)
	}
	return s.asOf
}

// Log is the log that the snapshot was read from.
func (s *Snapshot) Log() *Log { return s.log }

// FileByPath finds a live file by its path, in any spelling.
func (s *Snapshot) FileByPath(path string) (i int, ok bool) {
	found := s.Files().byPath(path)
	if len(found) == 0 {
		return 0, false
	}
	return int(found[0]), true
}

// NumRows is the number of rows; ok is false where a file's statistics do not tell.
func (s *Snapshot) NumRows() (rows int64, ok bool) {
	files := s.Files()
	for i := range files.Len() {
		n, ok := files.NumRecords(i)
		if !ok {
			return 0, false
		}
		if d := files.DeletionVector(i); d != nil {
			n -= d.Cardinality
		}
		rows += n
	}
	return rows, true
}

// SizeBytes is the size of the live data files.
func (s *Snapshot) SizeBytes() int64 { return s.live.sums().bytes }

// CheckReadable tells whether we can read the table's rows. Errors match [ErrInvalidProtocol],
// [ErrUnsupportedFeature] (a *FeatureError that lists all of them), [ErrUnsupportedType] or [ErrCorruptLog].
func (s *Snapshot) CheckReadable() error {
	if err := s.protocol.checkReadable(); err != nil {
		return err
	}
	if s.schemaErr != nil {
		return s.schemaErr
	}
	for _, name := range s.metadata.PartitionColumns {
		if _, err := s.schema.Lookup(name); err != nil {
			return corrupt("partition column: %w", err)
		}
	}
	return checkTypeChanges(s.schema)
}

// CheckWritable tells whether we can write the table, with the errors of CheckReadable. Duties of a writer that are
// switched on and that we cannot do are listed with their reason, a constraint's expression for example.
func (s *Snapshot) CheckWritable() error {
	if err := s.CheckReadable(); err != nil {
		return err
	}
	if err := s.protocol.checkWritable(); err != nil {
		return err
	}
	if err := s.schema.CheckKnown(); err != nil {
		return err
	}
	return featureError(true, slices.Concat(activeRefusals(s.metadata, s.schema), icebergRefusals(s.protocol, s.metadata, s.schema)))
}

// StatsColumns says which columns of the table get statistics.
func (s *Snapshot) StatsColumns() StatsColumns {
	if s.schema == nil {
		return StatsColumns{}
	}
	return DefaultStatsColumns(s.schema, s.mapping, s.metadata.PartitionColumns, s.metadata.Configuration)
}

// finish derives what depends on protocol and metadata, and refuses a log that lacks either.
func (s *Snapshot) finish() error {
	if s.protocol == nil {
		return corrupt("version %d has no protocol action", s.version)
	}
	if err := s.protocol.checkReadable(); err != nil {
		return err
	}
	if s.metadata == nil {
		return corrupt("version %d has no metaData action", s.version)
	}
	if p := s.metadata.Provider; p != "" && !strings.EqualFold(p, "parquet") {
		return &FeatureError{Features: []string{fmt.Sprintf("format.provider %s", clip(p))}}
	}
	if known := s.schema != nil || s.schemaErr != nil; known {
		return nil // taken over from a version with the same metaData
	}
	var err error
	if s.mapping, err = mappingOf(s.metadata.Configuration); err != nil {
		return err
	}
	// A log without a usable schema still opens: history and vacuum do not need one.
	s.schema, s.schemaErr = s.log.mappedSchema(s.metadata.SchemaString, s.mapping)
	return nil
}

// mappedSchema reads a schema that has what its column mapping needs.
func (l *Log) mappedSchema(text string, mapping ColumnMapping) (*Schema, error) {
	schema, err := parseSchema(text, l.options.Limits)
	if err != nil {
		return nil, err
	}
	if err := checkMapping(schema, mapping); err != nil {
		return nil, corrupt("schema: %w", err)
	}
	return schema, nil
}

// inCommitTimestamps tells whether commits of this table carry their own time.
func (s *Snapshot) inCommitTimestamps() bool {
	return s.protocol.Supports(FeatureInCommitTimestamp) && isTrue(s.metadata.Configuration, "delta.enableInCommitTimestamps")
}
