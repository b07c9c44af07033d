package txlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// EncodeAction writes an action as one line of a commit, without the line break. Keys come in a fixed order and
// maps sorted, so that equal actions give equal bytes; characters that mean something in HTML are left alone.
func EncodeAction(a Action) ([]byte, error) {
	w := &jsonWriter{}
	switch a := a.(type) {
	case *Metadata:
		w.member("metaData", func() { w.metadata(a) })
	case *Protocol:
		w.member("protocol", func() { w.protocol(a) })
	case *Add:
		w.member("add", func() { w.add(a) })
	case *Remove:
		w.member("remove", func() { w.remove(a) })
	case *CDC:
		w.member("cdc", func() { w.cdc(a) })
	case *Txn:
		w.member("txn", func() { w.txn(a) })
	case *DomainMetadata:
		w.member("domainMetadata", func() { w.domain(a) })
	case *CommitInfo:
		w.member("commitInfo", func() { w.commitInfo(a) })
	case *CheckpointMetadata:
		w.member("checkpointMetadata", func() {
			w.int("version", int64(a.Version))
			w.tags(a.Tags)
		})
	case *Sidecar:
		w.member("sidecar", func() {
			w.text("path", a.Path)
			w.int("sizeInBytes", a.SizeInBytes)
			w.int("modificationTime", a.ModificationTime)
			w.tags(a.Tags)
		})
	default:
		return nil, fmt.Errorf("encode action: unknown kind %T", a)
	}
	if w.err != nil {
		return nil, fmt.Errorf("encode action: %w", w.err)
	}
	return append(append([]byte{'{'}, w.buf.Bytes()...), '}'), nil
}

// jsonWriter writes members of one object; nested objects are written by nested functions.
type jsonWriter struct {
	buf bytes.Buffer
	err error
}

func (w *jsonWriter) key(k string) {
	if n := w.buf.Len(); n > 0 && w.buf.Bytes()[n-1] != '{' {
		w.buf.WriteByte(',')
	}
	w.buf.WriteString(quoteJSON(k))
	w.buf.WriteByte(':')
}

func (w *jsonWriter) member(k string, body func()) {
	w.key(k)
	w.buf.WriteByte('{')
	body()
	w.buf.WriteByte('}')
}

func (w *jsonWriter) text(k, v string) {
	w.key(k)
	w.buf.WriteString(quoteJSON(v))
}

func (w *jsonWriter) optionalText(k, v string) {
	if v != "" {
		w.text(k, v)
	}
}

func (w *jsonWriter) int(k string, v int64) {
	w.key(k)
	w.buf.WriteString(strconv.FormatInt(v, 10))
}

func (w *jsonWriter) optionalInt(k string, v *int64) {
	if v != nil {
		w.int(k, *v)
	}
}

func (w *jsonWriter) bool(k string, v bool) {
	w.key(k)
	w.buf.WriteString(strconv.FormatBool(v))
}

func (w *jsonWriter) texts(k string, list []string) {
	w.key(k)
	w.buf.WriteByte('[')
	for i, s := range list {
		if i > 0 {
			w.buf.WriteByte(',')
		}
		w.buf.WriteString(quoteJSON(s))
	}
	w.buf.WriteByte(']')
}

// list writes n objects.
func (w *jsonWriter) list(k string, n int, object func(i int)) {
	w.key(k)
	w.buf.WriteByte('[')
	for i := range n {
		if i > 0 {
			w.buf.WriteByte(',')
		}
		w.buf.WriteByte('{')
		object(i)
		w.buf.WriteByte('}')
	}
	w.buf.WriteByte(']')
}

func (w *jsonWriter) textMap(k string, m map[string]string) {
	w.member(k, func() {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			w.text(key, m[key])
		}
	})
}

func (w *jsonWriter) tags(m map[string]string) {
	if len(m) > 0 {
		w.textMap("tags", m)
	}
}

// partitionValues writes null for "": both mean null, and null is what peers write.
func (w *jsonWriter) partitionValues(m map[string]string) {
	w.member("partitionValues", func() {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			w.key(key)
			if m[key] == "" {
				w.buf.WriteString("null")
			} else {
				w.buf.WriteString(quoteJSON(m[key]))
			}
		}
	})
}

// raw writes a value that is JSON already, on one line.
func (w *jsonWriter) raw(k string, v json.RawMessage) {
	r := newJSONReader(v)
	r.skip()
	if err := r.end(); err != nil {
		w.err = fmt.Errorf("field %s: %w", k, err)
		return
	}
	w.key(k)
	if err := json.Compact(&w.buf, v); err != nil {
		w.err = fmt.Errorf("field %s: %w", k, err)
	}
}

func (w *jsonWriter) metadata(m *Metadata) {
	w.text("id", m.ID)
	w.optionalText("name", m.Name)
	w.optionalText("description", m.Description)
	w.member("format", func() {
		w.text("provider", m.Provider)
		w.textMap("options", m.FormatOptions)
	})
	w.text("schemaString", m.SchemaString)
	w.texts("partitionColumns", m.PartitionColumns)
	w.textMap("configuration", m.Configuration)
	w.optionalInt("createdTime", m.CreatedTime)
}

func (w *jsonWriter) protocol(p *Protocol) {
	w.int("minReaderVersion", int64(p.MinReaderVersion))
	w.int("minWriterVersion", int64(p.MinWriterVersion))
	if p.ReaderFeatures != nil {
		w.texts("readerFeatures", p.ReaderFeatures)
	}
	if p.WriterFeatures != nil {
		w.texts("writerFeatures", p.WriterFeatures)
	}
}

func (w *jsonWriter) add(a *Add) {
	w.text("path", a.Path)
	w.partitionValues(a.PartitionValues)
	w.int("size", a.Size)
	w.int("modificationTime", a.ModificationTime)
	w.bool("dataChange", a.DataChange)
	w.optionalText("stats", a.Stats)
	w.tags(a.Tags)
	w.descriptor(a.DeletionVector)
	w.optionalInt("baseRowId", a.BaseRowID)
	w.optionalInt("defaultRowCommitVersion", a.DefaultRowCommitVersion)
	w.optionalText("clusteringProvider", a.ClusteringProvider)
}

func (w *jsonWriter) remove(a *Remove) {
	w.text("path", a.Path)
	if a.DeletionTimestamp != 0 {
		w.int("deletionTimestamp", a.DeletionTimestamp)
	}
	w.bool("dataChange", a.DataChange)
	w.bool("extendedFileMetadata", a.ExtendedFileMetadata)
	if a.PartitionValues != nil {
		w.partitionValues(a.PartitionValues)
	}
	w.optionalInt("size", a.Size)
	w.optionalText("stats", a.Stats)
	w.tags(a.Tags)
	w.descriptor(a.DeletionVector)
	w.optionalInt("baseRowId", a.BaseRowID)
	w.optionalInt("defaultRowCommitVersion", a.DefaultRowCommitVersion)
}

func (w *jsonWriter) cdc(a *CDC) {
	w.text("path", a.Path)
	w.partitionValues(a.PartitionValues)
	w.int("size", a.Size)
	w.bool("dataChange", false)
	w.tags(a.Tags)
}

func (w *jsonWriter) descriptor(d *DeletionVectorDescriptor) {
	if d == nil {
		return
	}
	w.member("deletionVector", func() {
		w.text("storageType", d.StorageType)
		w.text("pathOrInlineDv", d.PathOrInlineDv)
		if d.Offset != nil {
			w.int("offset", int64(*d.Offset))
		}
		w.int("sizeInBytes", int64(d.SizeInBytes))
		w.int("cardinality", d.Cardinality)
	})
}

func (w *jsonWriter) txn(a *Txn) {
	w.text("appId", a.AppID)
	w.int("version", a.Version)
	w.optionalInt("lastUpdated", a.LastUpdated)
}

func (w *jsonWriter) domain(a *DomainMetadata) {
	w.text("domain", a.Domain)
	w.text("configuration", a.Configuration)
	w.bool("removed", a.Removed)
}

func (w *jsonWriter) commitInfo(c *CommitInfo) {
	start := w.buf.Len()
	w.int("timestamp", c.Timestamp)
	w.optionalInt("inCommitTimestamp", c.InCommitTimestamp)
	w.optionalText("operation", c.Operation)
	if c.OperationParameters != nil {
		w.textMap("operationParameters", c.OperationParameters)
	}
	if c.ReadVersion != nil {
		w.int("readVersion", int64(*c.ReadVersion))
	}
	w.optionalText("isolationLevel", c.IsolationLevel)
	if c.IsBlindAppend != nil {
		w.bool("isBlindAppend", *c.IsBlindAppend)
	}
	if c.OperationMetrics != nil {
		w.textMap("operationMetrics", c.OperationMetrics)
	}
	w.optionalText("engineInfo", c.EngineInfo)
	w.optionalText("txnId", c.TxnID)
	w.optionalText("userMetadata", c.UserMetadata)
	w.tags(c.Tags)
	taken := map[string]bool{}
	newJSONReader([]byte("{" + string(w.buf.Bytes()[start:]) + "}")).eachKey(func(key string) { taken[key] = true })
	for _, key := range slices.Sorted(maps.Keys(c.Extra)) {
		if !taken[key] {
			w.raw(key, c.Extra[key])
		}
	}
}

// quoteJSON writes a string as JSON without escaping for HTML. Bytes that are not UTF-8 become U+FFFD.
func quoteJSON(s string) string {
	if plainJSON(s) {
		return `"` + s + `"`
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // strings always encode
		return `""`
	}
	return string(bytes.TrimRight(b.Bytes(), "\n"))
}

// plainJSON tells whether s needs no escape at all.
func plainJSON(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// sortedPairs is a map as pairs, by key.
func sortedPairs(m map[string]string) [][2]string {
	pairs := make([][2]string, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, [2]string{key, m[key]})
	}
	return pairs
}

// sortedDomains is a map of domains as a list, by name.
func sortedDomains(m map[string]DomainMetadata) []DomainMetadata {
	list := make([]DomainMetadata, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[name])
	}
	return list
}
