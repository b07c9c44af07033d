package txlog

import (
	"fmt"
	"strings"
)

// validate refuses to write what the log would refuse to read, and what the table's features forbid, before anything
// is sent.
func (t *Transaction) validate() error {
	if err := t.log.options.Limits.Check("actions_per_commit", int64(len(t.actions))+1); err != nil {
		return err
	}
	p, m := t.inForce(t.base)
	after, err := t.writableAfter(p, m)
	if err != nil {
		return err
	}
	v := &validator{
		t: t, after: after, appendOnly: isTrue(m.Configuration, "delta.appendOnly"),
		once: map[string]bool{}, adds: map[string]*Add{}, removes: map[string]*Remove{},
	}
	for _, a := range t.actions {
		if err := v.action(a); err != nil {
			return err
		}
	}
	return v.pairs()
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalidCommit, fmt.Errorf(format, args...))
}

// writableAfter checks that we may write the table as it is and as it will be, and returns the latter's shape.
func (t *Transaction) writableAfter(p *Protocol, m *Metadata) (*Snapshot, error) {
	if t.base != nil {
		if p == t.base.protocol && m == t.base.metadata {
			return t.base, t.base.CheckWritable()
		}
		if err := t.checkAlterable(); err != nil {
			return nil, err
		}
	} else if p.MinReaderVersion == 0 || m.ID == "" {
		return nil, invalid("the first commit needs protocol and metaData with an id")
	}
	after := &Snapshot{log: t.log, protocol: p, metadata: m}
	if err := after.finish(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidCommit, err)
	}
	if err := after.CheckWritable(); err != nil {
		return nil, err
	}
	return after, nil
}

// checkAlterable checks the table as it is. A change of metadata that touches no file may take away a duty that we
// cannot do, a property for example: then only the table as it will be must be writable.
func (t *Transaction) checkAlterable() error {
	for _, a := range t.actions {
		switch a.(type) {
		case *Add, *Remove, *CDC:
			return t.base.CheckWritable()
		}
	}
	if err := t.base.CheckReadable(); err != nil {
		return err
	}
	return t.base.protocol.checkWritable()
}

type validator struct {
	t          *Transaction
	after      *Snapshot
	appendOnly bool
	once       map[string]bool
	adds       map[string]*Add
	removes    map[string]*Remove
	dataChange *bool
}

// single refuses a second action of a kind, or of a kind and name.
func (v *validator) single(what string) error {
	if v.once[what] {
		return invalid("%s occurs twice", what)
	}
	v.once[what] = true
	return nil
}

func (v *validator) action(a Action) error {
	if err := checkAction(a); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidCommit, err)
	}
	switch a := a.(type) {
	case *Protocol:
		return v.single("protocol")
	case *Metadata:
		return v.single("metaData")
	case *Txn:
		return v.single("txn " + a.AppID)
	case *DomainMetadata:
		if strings.HasPrefix(a.Domain, "delta.") && a.Domain != "delta.clustering" {
			return invalid("domain %s belongs to the protocol", clip(a.Domain))
		}
		if !v.after.protocol.Supports(FeatureDomainMetadata) {
			return invalid("domain %s needs the feature %s", clip(a.Domain), FeatureDomainMetadata)
		}
		return v.single("domainMetadata " + a.Domain)
	case *Add:
		return v.add(a)
	case *Remove:
		return v.remove(a)
	case *CDC:
		return v.contained(a.Path)
	}
	return invalid("%T cannot be staged", a)
}

func (v *validator) add(a *Add) error {
	if err := v.contained(a.Path); err != nil {
		return err
	}
	if err := v.sameChange(a.DataChange, a.Path); err != nil {
		return err
	}
	if err := v.t.log.options.Limits.Check("stats_bytes", int64(len(a.Stats))); err != nil {
		return err
	}
	for _, name := range v.after.metadata.PartitionColumns {
		f, err := v.after.schema.Lookup(name)
		if err != nil {
			return invalid("%w", err)
		}
		text, has := a.PartitionValues[f.PhysicalName(v.after.mapping)]
		if !has {
			return invalid("add %s has no value of partition column %s", clip(a.Path), name)
		}
		if _, err := ParsePartition(f.Type, text); err != nil {
			return invalid("add %s: %w", clip(a.Path), err)
		}
		if text == "" && !f.Nullable {
			return invalid("add %s: partition column %s is NOT NULL", clip(a.Path), name)
		}
	}
	if d := a.DeletionVector; d != nil {
		if !v.after.protocol.Supports(FeatureDeletionVectors) {
			return invalid("a deletion vector needs the feature %s", FeatureDeletionVectors)
		}
		rows, ok := numRecords(a.Stats)
		if !ok || d.Cardinality > rows {
			return invalid("add %s: a deletion vector needs numRecords of at least its cardinality", clip(a.Path))
		}
	}
	path := canonicalPath(a.Path)
	if v.adds[path] != nil {
		return invalid("add %s occurs twice", clip(a.Path))
	}
	v.adds[path] = a
	return nil
}

func (v *validator) remove(r *Remove) error {
	if _, err := DecodePath(r.Path); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidCommit, err)
	}
	if err := v.sameChange(r.DataChange, r.Path); err != nil {
		return err
	}
	if v.appendOnly && r.DataChange {
		return invalid("remove %s: the table is append-only (delta.appendOnly)", clip(r.Path))
	}
	path := canonicalPath(r.Path)
	if v.removes[path] != nil {
		return invalid("remove %s occurs twice", clip(r.Path))
	}
	v.removes[path] = r
	return nil
}

// contained demands a path below the table root: nothing that we write lies elsewhere.
func (v *validator) contained(path string) error {
	p, err := DecodePath(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidCommit, err)
	}
	if p.Absolute != "" {
		return fmt.Errorf("%w: %w: %s", ErrInvalidCommit, ErrPathEscape, clip(path))
	}
	return nil
}

// sameChange demands one value of dataChange throughout the commit.
func (v *validator) sameChange(change bool, path string) error {
	if v.dataChange == nil {
		v.dataChange = &change
	}
	if *v.dataChange != change {
		return invalid("%s: dataChange differs within the commit", clip(path))
	}
	return nil
}

// pairs checks adds against removes of this commit and against the live files.
func (v *validator) pairs() error {
	for path, a := range v.adds {
		r := v.removes[path]
		if r != nil && a.DeletionVector.Equal(r.DeletionVector) {
			return invalid("add and remove of %s with the same deletion vector", clip(a.Path))
		}
		if v.t.base == nil {
			continue
		}
		for _, old := range v.t.base.live.at(a.Path) {
			if old.vector.Equal(a.DeletionVector) || r != nil && r.DeletionVector.Equal(old.vector) {
				continue
			}
			return invalid("add %s is live with another deletion vector, which is not removed", clip(a.Path))
		}
	}
	return nil
}
