package txlog

import (
	"errors"
	"fmt"
)

// Properties of row tracking. The log keeps the names of the two columns, which never change once they are there.
const (
	RowTrackingKey          = "delta.enableRowTracking"
	RowTrackingSuspendedKey = "delta.rowTrackingSuspended"
	RowIDColumnKey          = "delta.rowTracking.materializedRowIdColumnName"
	RowVersionColumnKey     = "delta.rowTracking.materializedRowCommitVersionColumnName"
)

// RowIDs is where the ids of a file's rows begin, and the version in which its rows changed last, both as far as the
// file itself does not tell for a row. nil where nothing is known.
//
// Protocol: "Row IDs", "Row Commit Versions".
func (f *Files) RowIDs(i int) (base, version *int64) {
	if r := f.rare[int32(i)]; r != nil { //nolint:gosec // an index
		return r.baseRowID, r.defaultRowCommitVersion
	}
	return nil, nil
}

// numbered gives fresh row ids to new files where the table tracks rows; they depend on the version.
func (t *Transaction) numbered(now *Snapshot) ([]Action, error) {
	p, m := t.inForce(now)
	if !p.Supports(FeatureRowTracking) || isTrue(m.Configuration, "delta.rowTrackingSuspended") {
		return t.actions, nil
	}
	version, mark := Version(0), int64(-1)
	if now != nil {
		version = now.version + 1
		if d, ok := now.Domain(rowTrackingDomain); ok {
			if err := readRowMark(d.Configuration, &mark); err != nil {
				return nil, err
			}
		}
	}
	out := make([]Action, 0, len(t.actions)+1)
	before := mark
	for _, a := range t.actions {
		add, ok := a.(*Add)
		if d, isDomain := a.(*DomainMetadata); isDomain && d.Domain == rowTrackingDomain {
			return nil, fmt.Errorf("%w: domain %s is kept by the log", ErrInvalidCommit, rowTrackingDomain)
		}
		if !ok || add.BaseRowID != nil {
			out = append(out, a)
			continue
		}
		rows, ok := numRecords(add.Stats)
		if !ok {
			return nil, fmt.Errorf("%w: add %s needs numRecords, the table tracks rows", ErrInvalidCommit, clip(add.Path))
		}
		c := *add
		first, at := mark+1, int64(version)
		c.BaseRowID, c.DefaultRowCommitVersion = &first, &at
		mark += rows
		out = append(out, &c)
	}
	if mark != before {
		out = append(out, &DomainMetadata{Domain: rowTrackingDomain, Configuration: fmt.Sprintf(`{"rowIdHighWaterMark":%d}`, mark)})
	}
	return out, nil
}

const rowTrackingDomain = "delta.rowTracking"

// readRowMark reads the highest row id that was given out.
func readRowMark(configuration string, mark *int64) error {
	r := newJSONReader([]byte(configuration))
	r.object(func(key string) {
		if key == "rowIdHighWaterMark" {
			*mark = r.int64()
			return
		}
		r.skip()
	})
	if err := r.end(); err != nil || *mark < -1 {
		return corrupt("domain %s: %w", rowTrackingDomain, errors.Join(err, errors.New("no usable mark")))
	}
	return nil
}
