package txlog

import (
	"strings"

	"github.com/lakectl/lakectl/internal/mutant"
)

// isolation is how much of what others commit a change must have seen. It is recorded in commitInfo.
type isolation uint8

const (
	serializable isolation = iota
	writeSerializable
	snapshotIsolation
)

// String is the name in commitInfo and in the property delta.isolationLevel.
func (i isolation) String() string {
	switch i {
	case writeSerializable:
		return "WriteSerializable"
	case snapshotIsolation:
		return "SnapshotIsolation"
	case serializable:
	}
	return "Serializable"
}

// isolation picks the level: that of the table, or snapshot isolation for a change that rearranges rows at most.
func (t *Transaction) isolation() isolation {
	level := serializable
	if t.base != nil && strings.EqualFold(t.base.metadata.Configuration["delta.isolationLevel"], "WriteSerializable") {
		level = writeSerializable
	}
	for _, a := range t.actions {
		switch a := a.(type) {
		case *Add:
			if a.DataChange {
				return level
			}
		case *Remove:
			if a.DataChange {
				return level
			}
		case *CDC:
		case *DomainMetadata:
			if a.Domain != rowTrackingDomain {
				return level
			}
		default:
			return level
		}
	}
	if level == writeSerializable && operationChangesData(t.op.Name) {
		return level
	}
	return snapshotIsolation
}

// check decides whether a commit of another writer stands in the way. The first rule that hits wins, in an order
// that all writers of Delta share.
//
//  1. it changed the protocol;
//  2. it changed the metadata;
//  3. it wrote a domain that we write, except the row tracking mark, which a rebase merges;
//  4. it wrote the progress of an application that we read or write;
//  5. it added a file that may hold rows that we looked for;
//  6. it removed a file that we read, or any file where we read the whole table;
//  7. it removed a file that we remove.
func (t *Transaction) check(winner *Commit) error {
	conflict := func(err error, subject string) *ConflictError {
		e := &ConflictError{Err: err, Version: winner.Version, Subject: subject}
		if winner.Info != nil {
			e.Operation = winner.Info.Operation
		}
		return e
	}
	atFile := func(err error, path string, partition map[string]string) error {
		e := conflict(err, "")
		e.Path, e.Partition = path, partition
		return e
	}
	if mutant.On(mutant.ConflictUnchecked) {
		return nil
	}
	ours := t.written()
	for _, a := range winner.Actions {
		if _, ok := a.(*Protocol); ok {
			return conflict(ErrProtocolChanged, "")
		}
	}
	for _, a := range winner.Actions {
		if _, ok := a.(*Metadata); ok {
			return conflict(ErrMetadataChanged, "")
		}
	}
	for _, a := range winner.Actions {
		if d, ok := a.(*DomainMetadata); ok && ours.domains[d.Domain] && d.Domain != rowTrackingDomain {
			return conflict(ErrConcurrentTransaction, d.Domain)
		}
	}
	for _, a := range winner.Actions {
		if x, ok := a.(*Txn); ok && t.reads.appIDs[x.AppID] && !mutant.On(mutant.LeaseAsFence) {
			return conflict(ErrConcurrentTransaction, x.AppID)
		}
	}
	if t.appendsMatter(winner, ours.metadata) {
		for _, a := range winner.Actions {
			if add, ok := a.(*Add); ok && t.mayHaveRead(add) {
				return atFile(ErrConcurrentAppend, add.Path, add.PartitionValues)
			}
		}
	}
	for _, a := range winner.Actions {
		if r, ok := a.(*Remove); ok && (t.reads.whole || t.reads.files[canonicalPath(r.Path)]) {
			return atFile(ErrConcurrentDeleteRead, r.Path, r.PartitionValues)
		}
	}
	for _, a := range winner.Actions {
		if r, ok := a.(*Remove); ok && ours.removes[canonicalPath(r.Path)] && !mutant.On(mutant.DeleteDeleteAllowed) {
			return atFile(ErrConcurrentDeleteDelete, r.Path, r.PartitionValues)
		}
	}
	return nil
}

type writtenSet struct {
	metadata bool
	domains  map[string]bool
	removes  map[string]bool // canonical paths
}

func (t *Transaction) written() writtenSet {
	w := writtenSet{domains: map[string]bool{}, removes: map[string]bool{}}
	for _, a := range t.actions {
		switch a := a.(type) {
		case *Metadata:
			w.metadata = true
		case *DomainMetadata:
			w.domains[a.Domain] = true
		case *Remove:
			w.removes[canonicalPath(a.Path)] = true
		}
	}
	return w
}

// appendsMatter tells whether files that this winner added can be in conflict with what we read.
func (t *Transaction) appendsMatter(winner *Commit, writesMetadata bool) bool {
	switch t.isolation() {
	case serializable:
	case snapshotIsolation:
		return false
	case writeSerializable:
		blind := winner.Info != nil && winner.Info.IsBlindAppend != nil && *winner.Info.IsBlindAppend
		if blind && !writesMetadata {
			return false
		}
	}
	return !t.blind()
}

// mayHaveRead tells whether a new file may hold rows that we looked for. Only proof counts: partition values, and
// statistics of the file.
func (t *Transaction) mayHaveRead(add *Add) bool {
	if t.reads.whole {
		return true
	}
	if len(t.reads.predicates) == 0 || t.base == nil {
		return false
	}
	schema, err := t.base.Schema()
	if err != nil {
		return true
	}
	stats, err := ParseStats(add.Stats)
	if err != nil {
		stats = nil
	}
	for _, p := range t.reads.predicates {
		if MayMatch(p, schema, t.base.mapping, t.base.metadata.PartitionColumns, add.PartitionValues, stats, add.DeletionVector != nil) {
			return true
		}
	}
	return false
}
