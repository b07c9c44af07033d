package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// checkpoints compares the checkpoints of the newest version that has any with what the commits say, as far as they
// reach back: to an older checkpoint or to version 0. A version may have several, and readers may take any.
func (c *checking) checkpoints(ctx context.Context) error {
	versions := slices.Sorted(maps.Keys(c.found.complete))
	if c.snapshot == nil || len(versions) == 0 {
		return nil
	}
	newest := versions[len(versions)-1]
	hidden := map[string]bool{c.found.hint: true}
	for _, key := range c.found.keys[newest] {
		hidden[key] = true
	}
	replayed, err := c.logWithout(hidden).At(ctx, newest)
	if refused(err) {
		return err
	}
	sets := c.found.checkpointSets(newest)
	for _, set := range sets {
		object := at(newest)
		if len(sets) > 1 {
			object += ", " + set[0][strings.LastIndexByte(set[0], '/')+1:]
		}
		if err := c.checkpoint(ctx, newest, object, set, replayed); err != nil {
			return err
		}
	}
	return nil
}

// checkpoint compares one checkpoint, which is these objects. replayed is nil where the commits before it were cleaned
// up: then there is nothing to compare with.
func (c *checking) checkpoint(ctx context.Context, v txlog.Version, object string, set []string, replayed *txlog.Snapshot) error {
	// Without the commits before it, and other checkpoints, a reader has nothing else to go by.
	hidden := map[string]bool{}
	for commit, info := range c.found.infos {
		if commit < v {
			hidden[info.Key] = true
		}
	}
	for of, keys := range c.found.keys {
		for _, key := range keys {
			hidden[key] = hidden[key] || of < v || of == v && !slices.Contains(set, key)
		}
	}
	saved, err := c.logWithout(hidden).At(ctx, v)
	if err != nil {
		if refused(err) {
			return err
		}
		c.find(CheckpointDamaged, object, "%v", err)
		return nil
	}
	if replayed == nil {
		return nil
	}
	c.report.Checkpoints++
	c.compare(object, saved, replayed)
	return c.tombstones(ctx, object, saved, replayed)
}

// checkpointSets are the complete checkpoints of a version, each by its objects, sorted by name.
func (o *logObjects) checkpointSets(v txlog.Version) (sets [][]string) {
	parts := map[int][]string{}
	for _, key := range slices.Sorted(slices.Values(o.keys[v])) {
		if of, part := partsOf(key[strings.LastIndexByte(key, '/')+1:]); part {
			parts[of] = append(parts[of], key)
		} else {
			sets = append(sets, []string{key})
		}
	}
	for _, of := range slices.Sorted(maps.Keys(parts)) {
		if len(parts[of]) == of {
			sets = append(sets, parts[of])
		}
	}
	return sets
}

// logWithout is the log as it would be without some objects.
func (c *checking) logWithout(hidden map[string]bool) *txlog.Log {
	return txlog.New(hidingStore{c.log.Store(), hidden}, c.log.Root(), c.options.Log)
}

// compare reports where a checkpoint differs from the replay of commits.
func (c *checking) compare(object string, saved, replayed *txlog.Snapshot) {
	have, want := fileStates(saved), fileStates(replayed)
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if s, ok := have[k]; !ok {
			c.find(CheckpointLacksFile, object, "live file %s is not in the checkpoint", objectName(want[k].path))
		} else if s != want[k] {
			c.find(CheckpointDiffers, object, "size, vector or partition of %s differ from the commits", objectName(s.path))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[k]; !ok {
			c.find(CheckpointKeepsFile, object, "file %s was removed and is in the checkpoint", objectName(have[k].path))
		}
	}
	if a, b := jsonText(saved.Protocol()), jsonText(replayed.Protocol()); a != b {
		c.find(CheckpointDiffers, object, "protocol %s, by the commits %s", a, b)
	}
	a, b := saved.Metadata(), replayed.Metadata()
	if a.ID != b.ID || a.SchemaString != b.SchemaString || !slices.Equal(a.PartitionColumns, b.PartitionColumns) || !maps.Equal(a.Configuration, b.Configuration) {
		c.find(CheckpointDiffers, object, "metaData differs from the commits")
	}
	if !maps.Equal(txnVersions(saved), txnVersions(replayed)) {
		c.find(CheckpointDiffers, object, "txn values %v, by the commits %v", txnVersions(saved), txnVersions(replayed))
	}
	if !maps.Equal(domainTexts(saved), domainTexts(replayed)) {
		c.find(CheckpointDiffers, object, "metadata domains differ from the commits")
	}
}

// tombstones reports removed files that the checkpoint should still know: vacuum keeps a file for the retention after
// its remove, and knows of the remove from the checkpoint alone. Those about to expire are nobody's loss.
//
// What is about to expire is told by the clock of the store, by which vacuum and the writer of a checkpoint go.
func (c *checking) tombstones(ctx context.Context, object string, saved, replayed *txlog.Snapshot) error {
	type tombstone struct{ path, vector string }
	have := map[tombstone]bool{}
	for _, r := range saved.Tombstones() {
		have[tombstone{r.Path, vectorID(r.DeletionVector)}] = true
	}
	retention, err := deletedFileRetention(replayed)
	if err != nil {
		return nil //nolint:nilerr // nobody knows what was promised
	}
	now, err := c.log.StoreTime(ctx, c.snapshot)
	if err != nil {
		return err
	}
	if now.IsZero() { // the store does not tell
		now = c.options.Log.Clock.Now()
	}
	needed := now.Add(tombstoneSlack - retention).UnixMilli()
	for _, r := range replayed.Tombstones() {
		if r.DeletionTimestamp >= needed && !have[tombstone{r.Path, vectorID(r.DeletionVector)}] {
			c.find(CheckpointDiffers, object, "the remove of %s is not in the checkpoint", objectName(r.Path))
		}
	}
	return nil
}

// tombstoneSlack is how far the clocks of the writer of a checkpoint and of fsck may differ.
const tombstoneSlack = time.Hour

type fileState struct {
	path, vector, partition string
	size                    int64
}

func fileStates(s *txlog.Snapshot) map[string]fileState {
	files := s.Files()
	out := make(map[string]fileState, files.Len())
	for i := range files.Len() {
		st := fileState{
			path: files.Path(i), vector: vectorID(files.DeletionVector(i)), partition: partitionKey(files.Partition(i)),
			size: files.Size(i),
		}
		out[st.path+"\x00"+st.vector] = st
	}
	return out
}

func txnVersions(s *txlog.Snapshot) map[string]int64 {
	out := map[string]int64{}
	for id, t := range s.Txns() {
		out[id] = t.Version
	}
	return out
}

func domainTexts(s *txlog.Snapshot) map[string]string {
	out := map[string]string{}
	for d := range s.Domains() {
		out[d.Domain] = d.Configuration
	}
	return out
}

// hint checks that _last_checkpoint leads somewhere.
func (c *checking) hint(ctx context.Context) error {
	if c.found.hint == "" {
		return nil
	}
	var h struct {
		Version *txlog.Version `json:"version"`
	}
	text, err := c.small(ctx, c.found.hint)
	switch {
	case err != nil:
		return err
	case len(text) == 0: // normal: a writer without atomic replace
	case json.Unmarshal(text, &h) != nil || h.Version == nil:
		c.find(HintAstray, "_last_checkpoint", "it cannot be read")
	case !c.found.complete[*h.Version]:
		c.find(HintAstray, "_last_checkpoint", "it names a checkpoint of version %d, which is not there", *h.Version)
	}
	return nil
}

// checksum compares the .crc of the newest version with its state.
func (c *checking) checksum(ctx context.Context) error {
	if c.snapshot == nil {
		return nil
	}
	object := fmt.Sprintf("_delta_log/%020d.crc", c.snapshot.Version())
	sum, err := c.log.ReadChecksum(ctx, c.snapshot.Version())
	switch {
	case refused(err):
		return err
	case err != nil:
		c.find(ChecksumUnreadable, object, "%v", err)
	case sum != nil:
		for _, d := range sum.Differences(c.snapshot) {
			c.find(ChecksumDiffers, object, "%s", d)
		}
	}
	return nil
}

// small reads an object of the log that has a bounded size; nil for one that is not there or too large to be true.
func (c *checking) small(ctx context.Context, key string) ([]byte, error) {
	most := c.options.limits().HintBytes
	body, info, err := c.log.Store().Get(ctx, key, objectstore.Range{})
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // read only: nothing is lost
	if info.Size > most {
		return []byte("too large"), nil
	}
	return io.ReadAll(io.LimitReader(body, most))
}

// hidingStore is a store without some of its objects: a log read through it does not know of a checkpoint.
type hidingStore struct {
	objectstore.Store
	hidden map[string]bool
}

// Get does not find what is hidden.
func (s hidingStore) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	if s.hidden[key] {
		return nil, objectstore.Info{}, fmt.Errorf("get %s: %w", key, objectstore.ErrNotFound)
	}
	return s.Store.Get(ctx, key, r)
}

// Head does not find what is hidden.
func (s hidingStore) Head(ctx context.Context, key string) (objectstore.Info, error) {
	if s.hidden[key] {
		return objectstore.Info{}, fmt.Errorf("head %s: %w", key, objectstore.ErrNotFound)
	}
	return s.Store.Head(ctx, key)
}

// List leaves out what is hidden.
func (s hidingStore) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		for info, err := range s.Store.List(ctx, prefix, after) {
			if err == nil && s.hidden[info.Key] {
				continue
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// Put and Delete are not for a reader.
func (s hidingStore) Put(context.Context, string, objectstore.Body, objectstore.Condition) (objectstore.Info, error) {
	return objectstore.Info{}, fmt.Errorf("put: %w", objectstore.ErrUnsupported)
}

// Delete is refused, see Put.
func (s hidingStore) Delete(_ context.Context, keys ...string) error {
	return fmt.Errorf("delete %s: %w", strings.Join(keys, ", "), objectstore.ErrUnsupported)
}
