package table

import (
	"fmt"
	"slices"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/txlog"
)

// Names of the columns that ScanOptions.RowIDs adds to a relation.
const (
	RowIDColumn      = "_row_id"
	RowVersionColumn = "_row_commit_version"
)

// RowIDs asks a relation for two more columns of type bigint: the id of each row, which it keeps while it lives, and the
// version in which its values changed last. A row whose file knows neither has NULL.
//
// Protocol: "Reader Requirements for Row Tracking".
type RowIDs struct {
	// StoredID and StoredVersion name columns of files, the same with every column mapping and without a field id.
	// Where a file lacks them, and in rows where they are NULL, RelationFile.FirstRowID plus the position of the row
	// and RelationFile.RowVersion stand.
	StoredID, StoredVersion string
	ID, Version             string // what the columns of the relation are called
}

// rowIDs is how the rows of a table are told apart; nil where it does not keep their ids.
func (sh shape) rowIDs() *RowIDs {
	id, version := sh.properties[txlog.RowIDColumnKey], sh.properties[txlog.RowVersionColumnKey]
	if !boolProperty(sh.properties, txlog.RowTrackingKey) || id == "" || version == "" {
		return nil
	}
	return &RowIDs{StoredID: id, StoredVersion: version, ID: id, Version: version}
}

// columns are the hidden columns of files with rows from other files.
func (r *RowIDs) columns() []txlog.Field {
	if r == nil {
		return nil
	}
	long := &txlog.DataType{Kind: txlog.KindLong, Name: "long"}
	return []txlog.Field{{Name: r.StoredID, Type: long, Nullable: true}, {Name: r.StoredVersion, Type: long, Nullable: true}}
}

// moved is the schema of files with rows that come from other files: with their ids, where the table keeps them.
//
// Protocol: "Writer Requirements for Row Tracking".
func (sh shape) moved() *txlog.Schema {
	return &txlog.Schema{Fields: slices.Concat(sh.schema.Fields, sh.rowIDs().columns())}
}

// trackRows gives a table with row tracking names for its hidden columns. A table that has them keeps them for ever.
func trackRows(properties map[string]string, r clock.Rand) {
	if !boolProperty(properties, txlog.RowTrackingKey) {
		return
	}
	for key, prefix := range map[string]string{txlog.RowIDColumnKey: "_row-id-col-", txlog.RowVersionColumnKey: "_row-commit-version-col-"} {
		if properties[key] == "" {
			properties[key] = prefix + clock.NewUUID(r)
		}
	}
}

// backfill plans to give the rows of all files ids, in the commit that turns row tracking on. What is added meanwhile by
// writers who did not know would lack them, so it conflicts.
//
// Protocol: "Row Tracking", enablement. Errors: ErrUnsupported for a file without numRecords.
func (x *alteration) backfill(c *Change) error {
	if !boolProperty(x.meta.Configuration, txlog.RowTrackingKey) || boolProperty(x.base.Metadata().Configuration, txlog.RowTrackingKey) {
		return nil
	}
	files := x.base.Files()
	for i := range files.Len() {
		if first, _ := files.RowIDs(i); first != nil {
			continue
		}
		if _, known := files.NumRecords(i); !known {
			return fmt.Errorf("%w: %s: file %s has no number of rows in the log", ErrUnsupported, txlog.RowTrackingKey, files.Path(i))
		}
		c.renumber = append(c.renumber, i)
	}
	c.reads.whole = true
	if len(c.renumber) > 0 {
		x.changed("the rows of %d files have ids", len(c.renumber))
	}
	return nil
}
