package table

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lakectl/lakectl/internal/mutant"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// vacuumKeepSet decides about every object below the table root.
type vacuumKeepSet struct {
	prefix  string         // of the table
	needed  *neededObjects // what the log still needs, whatever its age
	cutoff  time.Time
	columns []string // folder names may begin with these and "=", although they begin with an underscore
	uniform bool     // the table has Iceberg metadata in metadata/
}

// vacuumKeep collects what the log needs: live files, files removed at or after the cut-off, and the deletion vector
// of each of them.
func (t *Table) vacuumKeep(ctx context.Context, s *txlog.Snapshot, cutoff time.Time, retain time.Duration) (*vacuumKeepSet, error) {
	needed, err := t.liveObjects(s)
	if err != nil {
		return nil, err
	}
	tombstones, err := t.tombstonesSince(ctx, s, cutoff, retain)
	if err != nil {
		return nil, err
	}
	for _, r := range tombstones {
		if err := needed.add(t.log, r.Path, r.DeletionVector); err != nil {
			return nil, err
		}
	}
	k := &vacuumKeepSet{prefix: t.prefix(), needed: needed, cutoff: cutoff}
	if schema, err := s.Schema(); err == nil {
		for _, name := range partitionNames(schema, s.PartitionColumns()) {
			k.columns = append(k.columns, name)
			if f, err := schema.Lookup(name); err == nil {
				k.columns = append(k.columns, f.PhysicalName(s.Mapping()))
			}
		}
	}
	k.columns = append(k.columns, s.PartitionColumns()...)
	for key := range s.Metadata().Configuration {
		if strings.HasPrefix(key, "delta.universalFormat.") || strings.HasPrefix(key, "delta.enableIcebergCompat") {
			k.uniform = true
		}
	}
	return k, nil
}

// neededObjects are objects that must stay. A path that cannot be placed in the store (an absolute one, of another
// store or in another spelling) protects every object of its base name: names are unique, so that costs nothing.
type neededObjects struct {
	keys  map[string]bool // object keys
	names map[string]bool // base names
}

func (n *neededObjects) has(key string) bool { return n.keys[key] || n.names[path.Base(key)] }

// liveObjects are the live files of s and their deletion vectors.
func (t *Table) liveObjects(s *txlog.Snapshot) (*neededObjects, error) {
	files := s.Files()
	n := &neededObjects{keys: make(map[string]bool, files.Len()), names: map[string]bool{}}
	for i := range files.Len() {
		if err := n.add(t.log, files.Path(i), files.DeletionVector(i)); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// add puts a data file and its vector in. A path that cannot be decoded ends the vacuum: it may mean any file.
func (n *neededObjects) add(log *txlog.Log, file string, d *txlog.DeletionVectorDescriptor) error {
	p, err := txlog.DecodePath(file)
	if err != nil {
		return err
	}
	n.place(log, p)
	p, ok, err := d.Path()
	if err == nil && ok && !mutant.On(mutant.VacuumIgnoresVectors) {
		n.place(log, p)
	}
	return err
}

func (n *neededObjects) place(log *txlog.Log, p txlog.Path) {
	if p.Absolute == "" {
		n.keys[log.Key(p.Key)] = true
		return
	}
	base := strings.TrimRight(log.Store().URL(), "/") + "/"
	if b, err := txlog.DecodePath(base); err == nil && b.Absolute != "" {
		if key, inside := strings.CutPrefix(p.Absolute, strings.TrimRight(b.Absolute, "/")+"/"); inside {
			n.keys[key] = true
		}
	}
	n.names[path.Base(p.Absolute)] = true
}

// tombstonesSince are the removes whose files readers of versions up to the cut-off may still hold. A snapshot
// forgets tombstones older than the table's retention; a vacuum that keeps longer finds them in the commits.
func (t *Table) tombstonesSince(ctx context.Context, s *txlog.Snapshot, cutoff time.Time, retain time.Duration) ([]*txlog.Remove, error) {
	promised, err := deletedFileRetention(s)
	if err != nil {
		return nil, err
	}
	from := cutoff.UnixMilli()
	var out []*txlog.Remove
	for _, r := range s.Tombstones() {
		if r.DeletionTimestamp >= from {
			out = append(out, r)
		}
	}
	if retain <= promised { // the clock of this machine has no say: it may be ahead of the store's
		return out, nil
	}
	oldest, reached := txlog.Version(-1), false
	for c, err := range t.log.History(ctx, txlog.HistoryOptions{}) {
		if err != nil {
			return nil, err
		}
		oldest = c.Version
		if reached = c.Timestamp.Before(cutoff); reached {
			break
		}
		for _, a := range c.Actions {
			if r, ok := a.(*txlog.Remove); ok && r.DeletionTimestamp >= from {
				out = append(out, r)
			}
		}
	}
	if !reached && oldest != 0 {
		return nil, fmt.Errorf("%w: to keep files since %s the commits from then on are needed, the oldest left is version %d; set delta.deletedFileRetentionDuration instead",
			txlog.ErrHistoryGone, cutoff.UTC().Format(time.RFC3339), oldest)
	}
	return out, nil
}

// vacuumList lists the table and returns what may go, in the order of keys.
func (t *Table) vacuumList(ctx context.Context, k *vacuumKeepSet, res *VacuumResult) ([]objectstore.Info, error) {
	var doomed []objectstore.Info
	for info, err := range t.Store().List(ctx, k.prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		res.ObjectsListed++
		if k.keeps(info) {
			res.ObjectsKept++
			continue
		}
		if len(doomed) == vacuumObjectsMax {
			res.MoreToDo = true
			break
		}
		doomed = append(doomed, info)
		res.FilesDeleted++
		res.BytesDeleted += info.Size
		if len(res.Objects) < VacuumObjectsShown {
			res.Objects = append(res.Objects, VacuumObject{
				Path: strings.TrimPrefix(info.Key, k.prefix), Size: info.Size, Modified: info.Modified,
			})
		}
	}
	return doomed, nil
}

// keeps tells whether an object stays.
func (k *vacuumKeepSet) keeps(info objectstore.Info) bool {
	rel, inside := strings.CutPrefix(info.Key, k.prefix)
	switch {
	case !inside || rel == "":
		return true
	case k.needed.has(info.Key):
		return true
	case !info.Modified.Before(k.cutoff) && !mutant.On(mutant.VacuumIgnoresAge):
		return true
	}
	return k.hidden(rel)
}

// hidden tells whether a name below the table root belongs to something that is not data: a segment that begins with
// an underscore or a dot, at any level. The exceptions are folders of data that readers or engines named so.
func (k *vacuumKeepSet) hidden(rel string) bool {
	segments := strings.Split(rel, "/")
	if k.uniform && segments[0] == "metadata" {
		return true
	}
	for i, s := range segments {
		folder := i < len(segments)-1
		switch {
		case s == "" || s[0] != '_' && s[0] != '.':
		case folder && s == "_change_data":
		case folder && strings.HasPrefix(s, "_delta_index"):
		case folder && s[0] == '_' && slices.ContainsFunc(k.columns, func(c string) bool { return isPartitionFolder(s, c) }):
		default:
			return true
		}
	}
	return false
}

// isPartitionFolder tells whether a folder name is that of a partition of column: "column=value", the name escaped
// as Hive does or not.
func isPartitionFolder(folder, column string) bool {
	name, _, ok := strings.Cut(folder, "=")
	return ok && (name == column || unescapeHive(name) == column)
}

// unescapeHive undoes the %XX of folder names; what is no escape stays.
func unescapeHive(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo)) //nolint:gosec // two hexadecimal digits
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
