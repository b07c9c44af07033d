package logops

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

const rowTrackingDomain = "delta.rowTracking"

// shape is what a version has besides its files, and the ids of their rows.
type shape struct {
	protocol   string // the lines of the log
	metadata   string
	properties map[string]string
	domains    map[string]string
	time       *int64           // the in-commit timestamp
	ids        map[string]int64 // where the row ids of each file begin that was ever added
	mark       int64            // the highest row id that was ever given out
}

// shape is that of the newest version, for the next to change.
func (o *Oracle) shape() shape {
	if len(o.Shapes) == 0 {
		return shape{domains: map[string]string{}, ids: map[string]int64{}, mark: -1}
	}
	s := o.Shapes[len(o.Shapes)-1]
	s.domains, s.ids = maps.Clone(s.domains), maps.Clone(s.ids)
	return s
}

func (s *shape) setDomain(name, configuration string, removed bool) {
	if removed {
		delete(s.domains, name)
		return
	}
	s.domains[name] = configuration
}

func (s *shape) is(property string) bool { return strings.EqualFold(s.properties[property], "true") }

// follows judges a version by the one before: times rise, and every row has an id that no other row ever had.
func (s *shape) follows(before shape, version int, added []*file, live map[string]bool) error {
	if s.is("delta.enableInCommitTimestamps") {
		switch {
		case s.time == nil:
			return errors.New("no in-commit timestamp")
		case before.time != nil && *s.time <= *before.time:
			return fmt.Errorf("the in-commit timestamp goes from %d to %d", *before.time, *s.time)
		}
	}
	for _, f := range added {
		if err := s.number(f, version); err != nil {
			return err
		}
	}
	if s.mark != before.mark {
		if want := fmt.Sprintf(`{"rowIdHighWaterMark":%d}`, s.mark); s.domains[rowTrackingDomain] != want {
			return fmt.Errorf("row ids up to %d are in use, and the mark is %s", s.mark, s.domains[rowTrackingDomain])
		}
	} else if s.domains[rowTrackingDomain] != before.domains[rowTrackingDomain] {
		return fmt.Errorf("the mark goes from %s to %s without new ids", before.domains[rowTrackingDomain], s.domains[rowTrackingDomain])
	}
	if !s.is(txlog.RowTrackingKey) {
		return nil
	}
	for path := range live {
		if _, ok := s.ids[path]; !ok {
			return fmt.Errorf("the rows of %s have no ids", path)
		}
	}
	return nil
}

// number takes in the row ids of a file. One that was in the table before has those that it had.
func (s *shape) number(f *file, version int) error {
	first, was := s.ids[f.Path]
	switch {
	case f.BaseRowID == nil && !was:
		return nil
	case f.BaseRowID == nil:
		return fmt.Errorf("the rows of %s lose their ids", f.Path)
	case was && first == *f.BaseRowID:
		return nil
	case was:
		return fmt.Errorf("the row ids of %s move from %d to %d", f.Path, first, *f.BaseRowID)
	case f.Since == nil || *f.Since != int64(version):
		return fmt.Errorf("%s has row ids of another version than %d", f.Path, version)
	}
	var stats struct {
		Rows int64 `json:"numRecords"`
	}
	if err := json.Unmarshal([]byte(f.Stats), &stats); err != nil {
		return fmt.Errorf("statistics of %s: %w", f.Path, err)
	}
	if *f.BaseRowID <= s.mark {
		return fmt.Errorf("%s has row ids from %d on, and ids up to %d are given out", f.Path, *f.BaseRowID, s.mark)
	}
	s.ids[f.Path], s.mark = *f.BaseRowID, *f.BaseRowID+stats.Rows-1
	return nil
}

// same refuses to take what was read under s for a change of what is like o: nobody commits over another schema,
// protocol or domain than the one that was read.
func (s shape) same(o shape, domain string) error {
	switch {
	case s.metadata != o.metadata:
		return errors.New("the metadata had changed")
	case s.protocol != o.protocol:
		return errors.New("the protocol had changed")
	case domain != "" && s.domains[domain] != o.domains[domain]:
		return fmt.Errorf("domain %s had changed", domain)
	}
	return nil
}

// agrees compares a snapshot.
func (s shape) agrees(snap *txlog.Snapshot) error {
	domains := map[string]string{}
	for d := range snap.Domains() {
		domains[d.Domain] = d.Configuration
	}
	if !maps.Equal(domains, s.domains) {
		return fmt.Errorf("the domains read as %v, and are %v", domains, s.domains)
	}
	// 0 is a time that nobody knows any more: the commit was cleaned up after its checkpoint had been read.
	if at := snap.Timestamp().UnixMilli(); s.is("delta.enableInCommitTimestamps") && at != *s.time && at != 0 {
		return fmt.Errorf("its time reads as %d, and is %d", at, *s.time)
	}
	if !maps.Equal(snap.Metadata().Configuration, s.properties) && len(s.properties) > 0 {
		return fmt.Errorf("the properties read as %v, and are %v", snap.Metadata().Configuration, s.properties)
	}
	for i := range snap.Files().Len() {
		path := snap.Files().Path(i)
		first, _ := snap.Files().RowIDs(i)
		want, has := s.ids[path]
		if has != (first != nil) || has && *first != want {
			return fmt.Errorf("the row ids of %s read as %v, and begin at %d, %v", path, first, want, has)
		}
	}
	return nil
}

// Describe tells what a snapshot is like besides its files, without what differs from one process to the next: names
// that are drawn, and times.
func Describe(snap *txlog.Snapshot) (string, error) {
	schema, err := snap.Schema()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, f := range schema.Fields {
		fmt.Fprintf(&b, "%s %s, ", f.Name, f.Type.Name)
	}
	for _, key := range slices.Sorted(maps.Keys(snap.Metadata().Configuration)) {
		if !strings.HasPrefix(key, "delta.rowTracking.") && !strings.HasPrefix(key, "delta.inCommitTimestampEnablement") {
			fmt.Fprintf(&b, "%s=%s, ", key, snap.Metadata().Configuration[key])
		}
	}
	for d := range snap.Domains() {
		if d.Domain == rowTrackingDomain { // whatever writes files moves its mark
			continue
		}
		fmt.Fprintf(&b, "%s %s, ", d.Domain, d.Configuration)
	}
	return b.String() + strings.Join(snap.Protocol().WriterFeatures, " "), nil
}
