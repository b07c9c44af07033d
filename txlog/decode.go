package txlog

import (
	"encoding/json"
	"fmt"
)

// DecodeLine reads one line of a commit: an object whose key names the action. Unknown fields are ignored, and an
// object with unknown keys only gives a nil Action.
//
// Protocol: "Actions". Keys match exactly, numbers are whole. The error matches [ErrCorruptLog].
// The caller bounds the line first.
func DecodeLine(line []byte) (Action, error) {
	r := newJSONReader(line)
	if r.peek() != '{' {
		r.fail("expected an object")
	}
	var action Action
	var kind string
	r.object(func(key string) {
		decode, known := decoderOf(key)
		if !known {
			r.skip()
			return
		}
		if r.null() || r.err != nil {
			return
		}
		if r.peek() != '{' {
			r.fail("%s is not an object", key)
			return
		}
		if action != nil {
			r.fail("one line holds %s and %s", kind, key)
			return
		}
		action, kind = decode(r), key
	})
	if err := r.end(); err != nil {
		if kind != "" {
			err = fmt.Errorf("action %s: %w", kind, err)
		}
		return nil, corrupt("%w", err)
	}
	if err := checkAction(action); err != nil {
		return nil, corrupt("action %s: %w", kind, err)
	}
	return action, nil
}

func decoderOf(key string) (func(*jsonReader) Action, bool) {
	switch key {
	case "metaData":
		return func(r *jsonReader) Action { return decodeMetadata(r) }, true
	case "protocol":
		return func(r *jsonReader) Action { return decodeProtocol(r) }, true
	case "add":
		return func(r *jsonReader) Action { return decodeAdd(r) }, true
	case "remove":
		return func(r *jsonReader) Action { return decodeRemove(r) }, true
	case "cdc":
		return func(r *jsonReader) Action { return decodeCDC(r) }, true
	case "txn":
		return func(r *jsonReader) Action { return decodeTxn(r) }, true
	case "domainMetadata":
		return func(r *jsonReader) Action { return decodeDomain(r) }, true
	case "commitInfo":
		return func(r *jsonReader) Action { return decodeCommitInfo(r) }, true
	case "checkpointMetadata":
		return func(r *jsonReader) Action { return decodeCheckpointMetadata(r) }, true
	case "sidecar":
		return func(r *jsonReader) Action { return decodeSidecar(r) }, true
	}
	return nil, false
}

// checkAction refuses what no correct writer leaves out, so that nobody downstream meets an empty path or name.
func checkAction(a Action) error {
	missing := func(field, value string) error {
		if value == "" {
			return fmt.Errorf("%s is missing", field)
		}
		return nil
	}
	switch a := a.(type) {
	case *Add:
		if a.Size < 0 {
			return fmt.Errorf("size is %d", a.Size)
		}
		return firstError(missing("path", a.Path), checkDescriptor(a.DeletionVector))
	case *Remove:
		return firstError(missing("path", a.Path), checkDescriptor(a.DeletionVector))
	case *CDC:
		return missing("path", a.Path)
	case *Txn:
		return missing("appId", a.AppID)
	case *DomainMetadata:
		return missing("domain", a.Domain)
	case *Sidecar:
		return missing("path", a.Path)
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func decodeMetadata(r *jsonReader) *Metadata {
	m := &Metadata{}
	r.object(func(key string) {
		switch key {
		case "id":
			m.ID = r.text()
		case "name":
			m.Name = r.text()
		case "description":
			m.Description = r.text()
		case "format":
			r.object(func(key string) {
				switch key {
				case "provider":
					m.Provider = r.text()
				case "options":
					m.FormatOptions = r.textMap()
				default:
					r.skip()
				}
			})
		case "schemaString":
			m.SchemaString = r.text()
		case "partitionColumns":
			m.PartitionColumns = r.texts()
		case "createdTime":
			m.CreatedTime = r.optionalInt64()
		case "configuration":
			m.Configuration = r.textMap()
		default:
			r.skip()
		}
	})
	return m
}

func decodeProtocol(r *jsonReader) *Protocol {
	p := &Protocol{}
	r.object(func(key string) {
		switch key {
		case "minReaderVersion":
			p.MinReaderVersion = int(r.int32())
		case "minWriterVersion":
			p.MinWriterVersion = int(r.int32())
		case "readerFeatures":
			p.ReaderFeatures = r.texts()
		case "writerFeatures":
			p.WriterFeatures = r.texts()
		default:
			r.skip()
		}
	})
	return p
}

func decodeAdd(r *jsonReader) *Add {
	a := &Add{}
	r.object(func(key string) {
		switch key {
		case "path":
			a.Path = r.text()
		case "partitionValues":
			a.PartitionValues = r.textMap()
		case "size":
			a.Size = r.int64()
		case "modificationTime":
			a.ModificationTime = r.int64()
		case "dataChange":
			a.DataChange = r.boolean()
		case "stats":
			a.Stats = r.text()
		case "tags":
			a.Tags = r.textMap()
		case "deletionVector":
			a.DeletionVector = decodeDescriptor(r)
		case "baseRowId":
			a.BaseRowID = r.optionalInt64()
		case "defaultRowCommitVersion":
			a.DefaultRowCommitVersion = r.optionalInt64()
		case "clusteringProvider":
			a.ClusteringProvider = r.text()
		default:
			r.skip()
		}
	})
	return a
}

func decodeRemove(r *jsonReader) *Remove {
	a := &Remove{}
	r.object(func(key string) {
		switch key {
		case "path":
			a.Path = r.text()
		case "deletionTimestamp":
			if v := r.optionalInt64(); v != nil {
				a.DeletionTimestamp = *v
			}
		case "dataChange":
			a.DataChange = r.boolean()
		case "extendedFileMetadata":
			a.ExtendedFileMetadata = r.boolean()
		case "partitionValues":
			a.PartitionValues = r.textMap()
		case "size":
			a.Size = r.optionalInt64()
		case "stats":
			a.Stats = r.text()
		case "tags":
			a.Tags = r.textMap()
		case "deletionVector":
			a.DeletionVector = decodeDescriptor(r)
		case "baseRowId":
			a.BaseRowID = r.optionalInt64()
		case "defaultRowCommitVersion":
			a.DefaultRowCommitVersion = r.optionalInt64()
		default:
			r.skip()
		}
	})
	return a
}

func decodeDescriptor(r *jsonReader) *DeletionVectorDescriptor {
	if r.null() || r.err != nil {
		return nil
	}
	d := &DeletionVectorDescriptor{}
	r.object(func(key string) {
		switch key {
		case "storageType":
			d.StorageType = r.text()
		case "pathOrInlineDv":
			d.PathOrInlineDv = r.text()
		case "offset":
			if !r.null() {
				v := r.int32()
				d.Offset = &v
			}
		case "sizeInBytes":
			d.SizeInBytes = r.int32()
		case "cardinality":
			d.Cardinality = r.int64()
		default:
			r.skip()
		}
	})
	return d
}

func decodeCDC(r *jsonReader) *CDC {
	a := &CDC{}
	r.object(func(key string) {
		switch key {
		case "path":
			a.Path = r.text()
		case "partitionValues":
			a.PartitionValues = r.textMap()
		case "size":
			a.Size = r.int64()
		case "tags":
			a.Tags = r.textMap()
		default:
			r.skip()
		}
	})
	return a
}

func decodeTxn(r *jsonReader) *Txn {
	a := &Txn{}
	r.object(func(key string) {
		switch key {
		case "appId":
			a.AppID = r.text()
		case "version":
			a.Version = r.int64()
		case "lastUpdated":
			a.LastUpdated = r.optionalInt64()
		default:
			r.skip()
		}
	})
	return a
}

func decodeDomain(r *jsonReader) *DomainMetadata {
	a := &DomainMetadata{}
	r.object(func(key string) {
		switch key {
		case "domain":
			a.Domain = r.text()
		case "configuration":
			a.Configuration = r.text()
		case "removed":
			a.Removed = r.boolean()
		default:
			r.skip()
		}
	})
	return a
}

// decodeCommitInfo reads free JSON: a known key with a value of another shape is kept in Extra instead of failing,
// since anything may write anything here.
func decodeCommitInfo(r *jsonReader) *CommitInfo {
	c := &CommitInfo{}
	r.object(func(key string) {
		raw := r.raw()
		if r.err != nil {
			return
		}
		v := newJSONReader(raw)
		if !c.known(key, v) || v.end() != nil {
			if c.Extra == nil {
				c.Extra = map[string]json.RawMessage{}
			}
			c.Extra[key] = raw
		}
	})
	return c
}

// known reads the value of a field that CommitInfo names and tells whether there is such a field. Fields are set
// only when the value has the right shape.
func (c *CommitInfo) known(key string, r *jsonReader) bool {
	switch key {
	case "timestamp":
		if v := r.optionalInt64(); r.err == nil && v != nil {
			c.Timestamp = *v
		}
	case "inCommitTimestamp":
		if v := r.optionalInt64(); r.err == nil {
			c.InCommitTimestamp = v
		}
	case "operation":
		c.Operation = r.text()
	case "operationParameters":
		c.OperationParameters = r.looseTextMap()
	case "readVersion":
		if v := r.optionalInt64(); r.err == nil && v != nil {
			read := Version(*v)
			c.ReadVersion = &read
		}
	case "isolationLevel":
		c.IsolationLevel = r.text()
	case "isBlindAppend":
		if r.null() {
			break
		}
		if v := r.boolean(); r.err == nil {
			c.IsBlindAppend = &v
		}
	case "operationMetrics":
		c.OperationMetrics = r.looseTextMap()
	case "engineInfo":
		c.EngineInfo = r.text()
	case "txnId":
		c.TxnID = r.text()
	case "userMetadata":
		c.UserMetadata = r.text()
	case "tags":
		if r.peek() != '{' && r.peek() != 'n' {
			return false
		}
		c.Tags = r.looseTextMap()
	default:
		return false
	}
	return true
}

func decodeCheckpointMetadata(r *jsonReader) *CheckpointMetadata {
	a := &CheckpointMetadata{}
	r.object(func(key string) {
		switch key {
		case "version":
			a.Version = Version(r.int64())
		case "tags":
			a.Tags = r.textMap()
		default:
			r.skip()
		}
	})
	return a
}

func decodeSidecar(r *jsonReader) *Sidecar {
	a := &Sidecar{}
	r.object(func(key string) {
		switch key {
		case "path":
			a.Path = r.text()
		case "sizeInBytes":
			a.SizeInBytes = r.int64()
		case "modificationTime":
			a.ModificationTime = r.int64()
		case "tags":
			a.Tags = r.textMap()
		default:
			r.skip()
		}
	})
	return a
}
