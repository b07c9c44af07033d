package txlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/objectstore"
)

// Checksum is the version checksum: what a version holds, in sums. It is written after the commit, from the state of
// the version before and the actions of the commit, without replaying the log; so where it disagrees with a replay,
// somebody has counted wrong. It is optional: nothing that reads a table depends on it.
//
// Protocol: "Version Checksum File". Pointers and lists are nil where the file leaves the field out; other fields of
// foreign writers are ignored.
type Checksum struct {
	TxnID              string
	TableSizeBytes     int64
	NumFiles           int64
	NumDeletedRecords  *int64 // bits of all deletion vectors
	NumDeletionVectors *int64
	NumMetadata        int64 // always 1
	NumProtocol        int64 // always 1
	InCommitTimestamp  *int64
	Txns               []Txn            // by application id
	Domains            []DomainMetadata // by name, without the removed ones
	Metadata           *Metadata
	Protocol           *Protocol
}

// checksumTxnsMax is how many applications a checksum lists; with more it leaves the list out, as the field may be.
const checksumTxnsMax = 1000

// checksumKey is the version checksum of v.
func (l *Log) checksumKey(v Version) string { return l.Key(fmt.Sprintf(logFolder+"%020d.crc", v)) }

// ReadChecksum reads the checksum of a version; nil where there is none.
//
// Errors: [ErrCorruptLog] when it cannot be read as one; *limits.Error; the errors of the store.
// Cost: one GET.
func (l *Log) ReadChecksum(ctx context.Context, v Version) (*Checksum, error) {
	b, _, err := l.readObject(ctx, l.checksumKey(v), "hint_bytes")
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read checksum %d: %w", v, err)
	}
	c, err := decodeChecksum(b)
	if err != nil {
		return nil, fmt.Errorf("read checksum %d: %w", v, err)
	}
	return c, nil
}

// decodeChecksum reads a checksum whose size was bounded before.
func decodeChecksum(b []byte) (*Checksum, error) {
	c := &Checksum{}
	seen := map[string]bool{}
	r := newJSONReader(b)
	if r.peek() != '{' {
		r.fail("expected an object")
	}
	r.object(func(key string) {
		if seen[key] {
			r.fail("%s comes twice", clip(key))
			return
		}
		seen[key] = true
		switch key {
		case "txnId":
			c.TxnID = r.text()
		case "tableSizeBytes":
			c.TableSizeBytes = r.int64()
		case "numFiles":
			c.NumFiles = r.int64()
		case "numDeletedRecordsOpt":
			c.NumDeletedRecords = r.optionalInt64()
		case "numDeletionVectorsOpt":
			c.NumDeletionVectors = r.optionalInt64()
		case "numMetadata":
			c.NumMetadata = r.int64()
		case "numProtocol":
			c.NumProtocol = r.int64()
		case "inCommitTimestampOpt":
			c.InCommitTimestamp = r.optionalInt64()
		case "setTransactions":
			if r.peek() == '[' {
				c.Txns = []Txn{}
			}
			r.array(func() { c.Txns = append(c.Txns, *decodeTxn(r)) })
		case "domainMetadata":
			if r.peek() == '[' {
				c.Domains = []DomainMetadata{}
			}
			r.array(func() { c.Domains = append(c.Domains, *decodeDomain(r)) })
		case "metadata":
			c.Metadata = decodeMetadata(r)
		case "protocol":
			c.Protocol = decodeProtocol(r)
		default:
			r.skip()
		}
	})
	if err := r.end(); err != nil {
		return nil, corrupt("checksum: %w", err)
	}
	for _, key := range []string{"tableSizeBytes", "numFiles", "numMetadata", "numProtocol", "metadata", "protocol"} {
		if !seen[key] {
			return nil, corrupt("checksum: %s is missing", key)
		}
	}
	if c.TableSizeBytes < 0 || c.NumFiles < 0 {
		return nil, corrupt("checksum: %d files of %d bytes", c.NumFiles, c.TableSizeBytes)
	}
	slices.SortStableFunc(c.Txns, func(a, b Txn) int { return strings.Compare(a.AppID, b.AppID) })
	slices.SortStableFunc(c.Domains, func(a, b DomainMetadata) int { return strings.Compare(a.Domain, b.Domain) })
	return c, nil
}

// encode is the text of the file, in the field names of Spark.
func (c *Checksum) encode() []byte {
	w := &jsonWriter{}
	w.buf.WriteByte('{')
	w.optionalText("txnId", c.TxnID)
	w.int("tableSizeBytes", c.TableSizeBytes)
	w.int("numFiles", c.NumFiles)
	w.optionalInt("numDeletedRecordsOpt", c.NumDeletedRecords)
	w.optionalInt("numDeletionVectorsOpt", c.NumDeletionVectors)
	w.int("numMetadata", c.NumMetadata)
	w.int("numProtocol", c.NumProtocol)
	w.optionalInt("inCommitTimestampOpt", c.InCommitTimestamp)
	if c.Txns != nil {
		w.list("setTransactions", len(c.Txns), func(i int) { w.txn(&c.Txns[i]) })
	}
	if c.Domains != nil {
		w.list("domainMetadata", len(c.Domains), func(i int) { w.domain(&c.Domains[i]) })
	}
	w.member("metadata", func() { w.metadata(c.Metadata) })
	w.member("protocol", func() { w.protocol(c.Protocol) })
	w.buf.WriteByte('}')
	return w.buf.Bytes()
}

// Checksum sums up the snapshot.
func (s *Snapshot) Checksum() *Checksum {
	sums := s.live.sums()
	c := &Checksum{
		TableSizeBytes: sums.bytes, NumFiles: sums.files, NumDeletedRecords: &sums.deleted, NumDeletionVectors: &sums.vectors,
		NumMetadata: 1, NumProtocol: 1, Metadata: s.metadata, Protocol: s.protocol, Domains: sortedDomains(s.domains),
	}
	if s.inCommitTimestamps() {
		c.InCommitTimestamp = s.inCommit
	}
	c.setTxns(s.txns)
	return c
}

// setTxns lists the applications, unless they are many or go by age: then the list would depend on the time.
func (c *Checksum) setTxns(txns map[string]Txn) {
	c.Txns = nil
	if _, byAge := c.Metadata.Configuration["delta.setTransactionRetentionDuration"]; byAge || len(txns) > checksumTxnsMax {
		return
	}
	c.Txns = make([]Txn, 0, len(txns))
	for _, id := range slices.Sorted(maps.Keys(txns)) {
		c.Txns = append(c.Txns, txns[id])
	}
}

// checksumAfter derives the checksum of the version that a commit made on top of s, which is nil for the first.
func checksumAfter(s *Snapshot, info *CommitInfo, actions []Action) (*Checksum, error) {
	c := &Checksum{NumDeletedRecords: new(int64), NumDeletionVectors: new(int64), NumMetadata: 1, NumProtocol: 1}
	txns, domains := map[string]Txn{}, map[string]DomainMetadata{}
	if s != nil {
		c = s.Checksum()
		txns, domains = maps.Clone(s.txns), maps.Clone(s.domains)
	}
	c.TxnID, c.InCommitTimestamp = info.TxnID, info.InCommitTimestamp
	gone := map[string]bool{} // files of s that the commit replaced or removed
	for _, a := range actions {
		var path string
		var vector *DeletionVectorDescriptor
		switch a := a.(type) {
		case *Protocol:
			c.Protocol = a
		case *Metadata:
			c.Metadata = a
		case *Txn:
			txns[a.AppID] = *a
		case *DomainMetadata:
			domains[a.Domain] = *a
			if a.Removed {
				delete(domains, a.Domain)
			}
		case *Add:
			path, vector = a.Path, a.DeletionVector
			c.count(1, a.Size, vector)
		case *Remove:
			path, vector = a.Path, a.DeletionVector
		}
		if path == "" || s == nil {
			continue
		}
		for _, old := range s.live.at(path) {
			if old.vector.Equal(vector) && !gone[old.key] {
				gone[old.key] = true
				c.count(-1, old.size, old.vector)
			}
		}
	}
	if c.Protocol == nil || c.Metadata == nil {
		return nil, errors.New("no protocol or no metaData")
	}
	c.Domains = sortedDomains(domains)
	c.setTxns(txns)
	return c, nil
}

// count adds or takes off a file.
func (c *Checksum) count(sign, size int64, d *DeletionVectorDescriptor) {
	c.NumFiles += sign
	c.TableSizeBytes += sign * size
	if d != nil {
		*c.NumDeletionVectors += sign
		*c.NumDeletedRecords += sign * d.Cardinality
	}
}

// writeChecksum puts the checksum of version v beside its commit. It is created once: a copy that is there already is
// another's of the same version, or our own.
func (l *Log) writeChecksum(ctx context.Context, v Version, s *Snapshot, info *CommitInfo, actions []Action) error {
	if s == nil && v > 0 || s != nil && s.version != v-1 {
		return nil // a late copy of our PUT was found: the version before is not known
	}
	c, err := checksumAfter(s, info, actions)
	if err != nil {
		return fmt.Errorf("write checksum %d: %w", v, err)
	}
	body := c.encode()
	if err := l.options.Limits.Check("hint_bytes", int64(len(body))); err != nil {
		return fmt.Errorf("write checksum %d: %w", v, err)
	}
	_, err = l.store.Put(ctx, l.checksumKey(v), objectstore.Bytes(body), objectstore.CreateOnly)
	if err != nil && !errors.Is(err, objectstore.ErrExists) {
		return fmt.Errorf("write checksum %d: %w", v, err)
	}
	return nil
}

// Differences says where a checksum of the snapshot's version disagrees with it; fields that it leaves out agree.
func (c *Checksum) Differences(s *Snapshot) []string {
	var out []string
	number := func(name string, have, want int64) {
		if have != want {
			out = append(out, fmt.Sprintf("%s is %d, the version has %d", name, have, want))
		}
	}
	optional := func(name string, have, want *int64) {
		if have != nil && want != nil {
			number(name, *have, *want)
		}
	}
	want := s.Checksum()
	number("numFiles", c.NumFiles, want.NumFiles)
	number("tableSizeBytes", c.TableSizeBytes, want.TableSizeBytes)
	number("numMetadata", c.NumMetadata, 1)
	number("numProtocol", c.NumProtocol, 1)
	optional("numDeletedRecordsOpt", c.NumDeletedRecords, want.NumDeletedRecords)
	optional("numDeletionVectorsOpt", c.NumDeletionVectors, want.NumDeletionVectors)
	optional("inCommitTimestampOpt", c.InCommitTimestamp, want.InCommitTimestamp)
	if !sameProtocol(c.Protocol, want.Protocol) {
		out = append(out, "protocol differs")
	}
	if !sameMetadata(c.Metadata, want.Metadata) {
		out = append(out, "metadata differs")
	}
	sameTxn := func(a, b Txn) bool { return a.AppID == b.AppID && a.Version == b.Version }
	if c.Txns != nil && want.Txns != nil && !slices.EqualFunc(c.Txns, want.Txns, sameTxn) {
		out = append(out, "setTransactions differ")
	}
	if c.Domains != nil && !slices.Equal(c.Domains, want.Domains) {
		out = append(out, "domainMetadata differ")
	}
	return out
}

func sameProtocol(a, b *Protocol) bool {
	sorted := func(l []string) []string { return slices.Sorted(slices.Values(l)) }
	return a.MinReaderVersion == b.MinReaderVersion && a.MinWriterVersion == b.MinWriterVersion &&
		slices.Equal(sorted(a.ReaderFeatures), sorted(b.ReaderFeatures)) && slices.Equal(sorted(a.WriterFeatures), sorted(b.WriterFeatures))
}

func sameMetadata(a, b *Metadata) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Description == b.Description && a.SchemaString == b.SchemaString &&
		slices.Equal(a.PartitionColumns, b.PartitionColumns) && maps.Equal(a.Configuration, b.Configuration)
}
