package logops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// Oracles remembers the worlds that were judged: many schedules end in the same objects, and reading them again would
// tell the same.
type Oracles map[string]*Oracle

// Read replays the log, or remembers it. The error of a world that does not read as it should comes each time.
func (all Oracles) Read(ctx context.Context, s objectstore.Store) (*Oracle, error) {
	var name strings.Builder
	for info, err := range s.List(ctx, "", "") {
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&name, "%s %s\n", info.Key, info.ETag)
	}
	if o, ok := all[name.String()]; ok {
		return o, nil
	}
	o, err := ReadOracle(ctx, s)
	if err == nil {
		err = o.Agrees(ctx, s)
	}
	if err == nil {
		all[name.String()] = o
	}
	return o, err
}

// Oracle is the log as a slow and obvious reader sees it: every commit from 0, line by line, into sets.
type Oracle struct {
	TxnIDs []string           // by version
	Users  []string           // userMetadata, by version
	Live   []map[string]bool  // files after each version
	Apps   []map[string]int64 // progress after each version
	Shapes []shape            // what is in force after each version
}

type line struct {
	CommitInfo *struct {
		TxnID             string `json:"txnId"`
		UserMetadata      string `json:"userMetadata"`
		InCommitTimestamp *int64 `json:"inCommitTimestamp"`
	} `json:"commitInfo"`
	Add    *file `json:"add"`
	Remove *file `json:"remove"`
	Txn    *struct {
		AppID   string `json:"appId"`
		Version int64  `json:"version"`
	} `json:"txn"`
	Protocol json.RawMessage `json:"protocol"`
	Metadata *struct {
		Configuration map[string]string `json:"configuration"`
	} `json:"metaData"`
	Domain *struct {
		Domain        string `json:"domain"`
		Configuration string `json:"configuration"`
		Removed       bool   `json:"removed"`
	} `json:"domainMetadata"`
}

type file struct {
	Path      string `json:"path"`
	BaseRowID *int64 `json:"baseRowId"`
	Since     *int64 `json:"defaultRowCommitVersion"`
	Stats     string `json:"stats"`
	// DataChange is false where a live file is named again to give its rows ids.
	DataChange bool `json:"dataChange"`
}

// ReadOracle replays all commits. A gap, a file added twice and a file removed that is not live are errors.
func ReadOracle(ctx context.Context, s objectstore.Store) (*Oracle, error) {
	o := &Oracle{}
	for info, err := range s.List(ctx, Path+"/_delta_log/", "") {
		if err != nil {
			return nil, err
		}
		name := path.Base(info.Key)
		if !strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".compacted.json") {
			continue
		}
		if want := fmt.Sprintf("%020d.json", len(o.Live)); name != want {
			return nil, fmt.Errorf("the log holds %s where %s is expected", name, want)
		}
		body, _, err := s.Get(ctx, info.Key, objectstore.Range{})
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		if err := o.apply(b); err != nil {
			return nil, fmt.Errorf("version %d: %w", len(o.Live), err)
		}
	}
	return o, nil
}

func (o *Oracle) apply(commit []byte) error {
	live, apps, txnID, user := map[string]bool{}, map[string]int64{}, "", ""
	if n := len(o.Live); n > 0 {
		live, apps = maps.Clone(o.Live[n-1]), maps.Clone(o.Apps[n-1])
	}
	now := o.shape()
	var added []*file
	for text := range bytes.Lines(commit) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return err
		}
		switch {
		case l.CommitInfo != nil:
			txnID, user, now.time = l.CommitInfo.TxnID, l.CommitInfo.UserMetadata, l.CommitInfo.InCommitTimestamp
		case l.Remove != nil:
			if !live[l.Remove.Path] {
				return fmt.Errorf("%s removes %s, which is not live", txnID, l.Remove.Path)
			}
			delete(live, l.Remove.Path)
		case l.Add != nil:
			added = append(added, l.Add)
		case l.Txn != nil:
			if old, ok := apps[l.Txn.AppID]; ok && l.Txn.Version < old {
				return fmt.Errorf("%s takes %s back from %d to %d", txnID, l.Txn.AppID, old, l.Txn.Version)
			}
			apps[l.Txn.AppID] = l.Txn.Version
		case l.Protocol != nil:
			now.protocol = string(l.Protocol)
		case l.Metadata != nil:
			now.metadata, now.properties = string(text), l.Metadata.Configuration
		case l.Domain != nil:
			now.setDomain(l.Domain.Domain, l.Domain.Configuration, l.Domain.Removed)
		}
	}
	for _, f := range added {
		if _, numbered := now.ids[f.Path]; live[f.Path] && (f.DataChange || numbered) {
			return fmt.Errorf("%s adds %s, which is live", txnID, f.Path)
		}
		live[f.Path] = true
	}
	if err := now.follows(o.shape(), len(o.Live), added, live); err != nil {
		return fmt.Errorf("%s: %w", txnID, err)
	}
	if txnID != "" && slices.Contains(o.TxnIDs, txnID) {
		return fmt.Errorf("txnId %s is in two versions", txnID)
	}
	o.TxnIDs, o.Users, o.Live, o.Apps = append(o.TxnIDs, txnID), append(o.Users, user), append(o.Live, live), append(o.Apps, apps)
	o.Shapes = append(o.Shapes, now)
	return nil
}

// Judge compares what an actor was told with what is there: G1 to G4.
func (o *Oracle) Judge(r *Report) error {
	if !r.Tried {
		return nil
	}
	at := slices.Index(o.TxnIDs, r.TxnID)
	if r.TxnID == "" {
		at = slices.Index(o.Users, r.User)
	}
	switch {
	case !r.Returned || errors.Is(r.Err, txlog.ErrUnknown):
		// At most once, which ReadOracle has checked.
	case r.Err != nil && at >= 0:
		return fmt.Errorf("was refused, and version %d has it: %w", at, r.Err)
	case r.Err == nil && at != int(r.Version):
		return fmt.Errorf("was told version %d, and the work is in version %d", r.Version, at)
	}
	if at < 0 {
		return nil
	}
	if at <= int(r.Base) {
		return fmt.Errorf("read version %d and became version %d", r.Base, at)
	}
	if r.Whole && !maps.Equal(o.Live[r.Base], o.Live[at-1]) {
		return fmt.Errorf("depends on all files of version %d, and was committed on others at %d", r.Base, at)
	}
	if r.Base >= 0 {
		if err := o.Shapes[r.Base].same(o.Shapes[at-1], r.Domain); err != nil {
			return fmt.Errorf("read version %d and became version %d: %w", r.Base, at, err)
		}
	}
	return nil
}

// Agrees compares every version as txlog reads it with the slow reading, from a fresh log.
func (o *Oracle) Agrees(ctx context.Context, s objectstore.Store) error {
	if err := o.AgreesNewest(ctx, s); err != nil {
		return err
	}
	l := Open(s, 1000)
	for v := range len(o.Live) - 1 {
		snap, err := l.At(ctx, txlog.Version(v))
		if err != nil {
			return fmt.Errorf("read version %d: %w", v, err)
		}
		if err := o.Same(snap); err != nil {
			return err
		}
	}
	return nil
}

// AgreesNewest is Agrees for the newest version alone.
func (o *Oracle) AgreesNewest(ctx context.Context, s objectstore.Store) error {
	l := Open(s, 1000)
	newest, err := l.Latest(ctx)
	if len(o.Live) == 0 {
		if !errors.Is(err, txlog.ErrNotATable) {
			return fmt.Errorf("an empty folder reads as %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the table: %w", err)
	}
	if int(newest.Version()) != len(o.Live)-1 {
		return fmt.Errorf("the newest version reads as %d of %d", newest.Version(), len(o.Live)-1)
	}
	return o.Same(newest)
}

// Same compares one snapshot with its version.
func (o *Oracle) Same(snap *txlog.Snapshot) error {
	v := int(snap.Version())
	if v >= len(o.Live) {
		return fmt.Errorf("version %d was read, and there are %d", v, len(o.Live))
	}
	got := map[string]bool{}
	for i := range snap.Files().Len() {
		got[snap.Files().Path(i)] = true
	}
	if !maps.Equal(got, o.Live[v]) || snap.Files().Len() != len(got) {
		return fmt.Errorf("version %d reads as %v, and is %v", v, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(o.Live[v])))
	}
	if err := o.Shapes[v].agrees(snap); err != nil {
		return fmt.Errorf("version %d: %w", v, err)
	}
	for app, n := range o.Apps[v] {
		if x, ok := snap.Txn(app); !ok || x.Version != n {
			return fmt.Errorf("version %d has %s at %d, %v; want %d", v, app, x.Version, ok, n)
		}
	}
	return nil
}
