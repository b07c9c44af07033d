package table

import (
	"context"
	"iter"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// Engine computes; it never commits (architecture, law 1). It parses SELECTs, streams their rows, and writes their
// rows as Parquet files that nobody sees until txlog names them.
//
// Implementations are safe for concurrent use, bounded in memory and temporary disk, and see nothing but the
// relations they are given: no other file, no network, no extension. A done ctx stops the work and removes what it
// staged. Nothing here is retried by the engine; every call may be repeated by the caller with the same answer,
// because the SQL is deterministic over pinned files.
type Engine interface {
	// Parse reads one SELECT and says what it needs. Errors: *SQLError.
	Parse(ctx context.Context, p Parse) (*Statement, error)

	// Query runs one SELECT and streams its rows; none is computed before All asks for it. Columns have the names that
	// the SELECT gives them, twins included. The caller closes Rows.
	// Errors: *SQLError, *limits.Error (memory, temporary disk), the errors of the stores of its relations.
	Query(ctx context.Context, q Query) (*Rows, error)

	// Write runs one SELECT and puts its rows as Parquet files under w.Prefix of w.Store, none of them empty. The
	// output columns must have the names of w.Schema, in any order; values are cast to its types, a value that does not fit is an
	// error. On error nothing that it put is left behind, best effort. No rows: no files, no error.
	Write(ctx context.Context, q Query, w Write) ([]WrittenFile, error)
}

// Parse is what Engine.Parse wants to know of a statement.
type Parse struct {
	SQL string // one SELECT (or WITH …, FROM …, VALUES …)
	// Schemas, when set, gives the columns of each table named in SQL; then Statement.Output and, for each table,
	// Columns and Predicate are filled in. Its error is returned as it is.
	Schemas  func(TableRef) (*txlog.Schema, error)
	TimeZone string // IANA name; "" is UTC
}

// Statement is what a SELECT needs and gives.
type Statement struct {
	Canonical string     // text of the syntax tree: equal for statements that differ in comments and layout only
	Tables    []TableRef // each distinct table (name and time travel) once, in order of appearance; CTEs are not tables
	Functions []string   // names of all functions called, lower case, sorted, once each; file functions such as read_csv included
	RowWise   bool       // no GROUP BY, aggregate, DISTINCT, window, LIMIT or set operation other than UNION ALL, at any level
	Output    []txlog.Field
}

// TableRef is one table of a statement.
type TableRef struct {
	Name  string // as written, without quotes: "silver.flights", "./t@v1", "airports"
	At    string // "" or the text of the time travel clause: "VERSION => 3", "TIMESTAMP => '2026-01-31'"
	Alias string
	// Columns are the top-level columns that the statement reads of it; nil when Parse.Schemas was not set.
	Columns []string
	// Predicate is implied by the statement for every row of the table that can matter; nil means no condition.
	Predicate *txlog.Predicate
}

// Key is the name of the table's relation in Query.Relations: Name, and " AT (…)" when At is set.
func (r TableRef) Key() string {
	if r.At == "" {
		return r.Name
	}
	return r.Name + " AT (" + r.At + ")"
}

// Query is one SELECT over relations.
type Query struct {
	SQL       string              // one SELECT; every table in it is a key of Relations (TableRef.Key), without regard to case
	Relations map[string]Relation // nothing else can be read
	TimeZone  string              // session zone, IANA name; "" is UTC
	Unordered bool                // rows may come in any order where SQL asks for none
}

// Relation is what a table name stands for: pinned files of one table, or files outside any table.
type Relation struct {
	// Schema gives the logical columns, in order; columns that a file lacks are NULL, narrower types are widened,
	// columns of a file that are not in it are ignored. Nil only with External.
	Schema *txlog.Schema
	// PartitionColumns names the columns whose values come from RelationFile.Partition instead of the file. A
	// change feed uses it for _change_type and its like.
	PartitionColumns []string
	Mapping          txlog.ColumnMapping // how columns are found in files
	Files            []RelationFile
	// Position adds the columns FileColumn (integer, index into Files) and RowColumn (bigint, physical row, from 0).
	Position bool
	// RowIDs adds the columns that it names, after those of Position.
	RowIDs *RowIDs
	// PackedVariants gives values of type variant as files hold them, for Write.PackedVariants: rows that only move
	// keep them byte for byte.
	PackedVariants bool
	// KeepVariants adds, after all others, a column for each one that is or has a variant: the same as PackedVariants
	// would give it. See KeptColumn.
	KeepVariants bool
	// External reads files that belong to no table by their own schema.
	External *External
}

// Names of the columns that Relation.Position adds.
const (
	FileColumn = "_lake_file"
	RowColumn  = "_lake_row"
)

// RelationFile is one Parquet (or external) file. It is never changed while it is in use.
type RelationFile struct {
	Store     objectstore.Store
	Key       string
	Size      int64             // bytes; a different size in the store is an error
	ETag      string            // "" when unknown
	Partition map[string]string // by logical column name, in the text form of the Delta protocol; "" is NULL
	Deleted   *roaring64.Bitmap // physical rows to leave out; nil: none
	Only      *roaring64.Bitmap // physical rows to keep, before Deleted; nil: all
	// Stored names partition columns of the relation whose values stand in this file, under their own names, and not
	// in Partition: change data files hold _change_type.
	Stored []string
	// FirstRowID is the id of the row at position 0, RowVersion the version of all rows; see RowIDs. nil: unknown.
	FirstRowID, RowVersion *int64
}

// External describes files outside any table.
type External struct {
	Format  string            // csv, json, ndjson, parquet
	Options map[string]string // csv: header, delimiter, quote, escape, null_strings, date_format, timestamp_format; unknown keys are an error
	AllText bool              // csv: every column a string
}

// Write says where and how Engine.Write puts its files.
type Write struct {
	// Store and Prefix are the folder that receives the files ("silver/orders/", or a partition-free scratch
	// folder). Names are part-<uuid>.parquet, under Hive-style folders for PartitionBy. A nil Store means the
	// engine's own scratch space: the caller deletes those files through WrittenFile.Store when done.
	Store  objectstore.Store
	Prefix string
	// NamePrefix begins the names of files instead of "part-"; "" keeps that.
	NamePrefix string
	// Schema gives names, order and types of the columns, with physical names and field ids in its metadata.
	Schema  *txlog.Schema
	Mapping txlog.ColumnMapping
	// PartitionBy names columns that are left out of the files and returned as WrittenFile.Partition.
	PartitionBy []string
	// KeepPartitionColumns also writes them into the files, after the others (Iceberg compatibility).
	KeepPartitionColumns bool
	// Ordered keeps the order of the SELECT: files hold disjoint ranges of it.
	Ordered        bool
	TargetFileSize int64  // bytes, approximate; 0 is DefaultTargetFileSize
	Codec          string // zstd when ""; names of delta.parquet.compression.codec
	// PackedVariants takes values of type variant as relations with PackedVariants give them.
	PackedVariants bool
	Stats          txlog.StatsColumns
}

// DefaultTargetFileSize is the size that writes aim at when neither the caller nor the table says otherwise.
const DefaultTargetFileSize = 128 << 20

// WrittenFile is one file that Engine.Write put.
type WrittenFile struct {
	Store     objectstore.Store
	Key       string
	Size      int64 // bytes
	ETag      string
	Rows      int64
	Partition map[string]string // by logical column name; "" is NULL
	Stats     string            // Delta statistics, JSON (delta.md §7), keyed by physical names
}

// Rows streams the result of a SELECT. Values are nil, bool, int64 (all integers), float32, float64, string (a variant
// as JSON), []byte, txlog.Decimal, txlog.Date, time.Time (UTC; a wall clock for timestamp_ntz), []any (array), []MapEntry,
// []any in field order (struct).
type Rows struct {
	Columns []txlog.Field
	// All yields each row once; the slice is reused for the next row. The first error ends it.
	All   iter.Seq2[[]any, error]
	Close func() error
}

// MapEntry is one entry of a map value, in the file's order.
type MapEntry struct{ Key, Value any }

// SQLError is an error in SQL text, in the user's words. Terminal.
type SQLError struct {
	SQL     string
	Message string // the engine's message, first line, without addresses of this machine
	Offset  int    // byte offset in SQL, -1 when unknown
	Data    bool   // the SQL is right: a value that it met cannot be cast
}

func (e *SQLError) Error() string { return "sql: " + e.Message }

// Is matches ErrValue when it is a value that is wrong.
func (e *SQLError) Is(target error) bool { return e.Data && target == ErrValue }
