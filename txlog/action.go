package txlog

import "encoding/json"

// Version numbers the commits of one table from 0, without gaps.
type Version int64

// Action is one line of a commit: exactly one of the pointer types below.
//
// Protocol: "Actions". Unknown actions and unknown fields of a line are ignored when reading.
type Action interface{ isAction() }

// Metadata is the `metaData` action: schema, partitioning and properties; it replaces the former one whole.
//
// Protocol: "Change Metadata".
type Metadata struct {
	ID               string
	Name             string // "" means absent
	Description      string // "" means absent
	Provider         string // format.provider; anything but "parquet" is refused
	FormatOptions    map[string]string
	SchemaString     string // JSON; some old logs lack it: the log reads, the schema is an error
	PartitionColumns []string
	CreatedTime      *int64 // milliseconds since 1970 UTC
	Configuration    map[string]string
}

// Protocol is the `protocol` action: what a client must understand to read or write the table.
//
// Protocol: "Protocol Evolution". The lists are nil where the version numbers forbid them.
type Protocol struct {
	MinReaderVersion int
	MinWriterVersion int
	ReaderFeatures   []string
	WriterFeatures   []string
}

// Add makes a data file part of the table.
//
// Protocol: "Add File and Remove File". Path is the URI-encoded text of the log; see [DecodePath].
type Add struct {
	Path                    string
	PartitionValues         map[string]string // by physical name; "" is null
	Size                    int64             // bytes
	ModificationTime        int64             // milliseconds since 1970 UTC
	DataChange              bool
	Stats                   string // JSON; "" means absent
	Tags                    map[string]string
	DeletionVector          *DeletionVectorDescriptor
	BaseRowID               *int64
	DefaultRowCommitVersion *int64
	ClusteringProvider      string
}

// Remove takes a data file out of the table and leaves a tombstone for VACUUM.
//
// Protocol: "Add File and Remove File". We always write ExtendedFileMetadata, PartitionValues and Size.
type Remove struct {
	Path                    string // byte for byte the Path of its Add
	DeletionTimestamp       int64  // milliseconds since 1970 UTC; 0 means absent
	DataChange              bool
	ExtendedFileMetadata    bool
	PartitionValues         map[string]string
	Size                    *int64
	Stats                   string
	Tags                    map[string]string
	DeletionVector          *DeletionVectorDescriptor
	BaseRowID               *int64
	DefaultRowCommitVersion *int64
}

// CDC names a change data file. Protocol: "Add CDC File". DataChange is always false.
type CDC struct {
	Path            string
	PartitionValues map[string]string
	Size            int64 // bytes
	Tags            map[string]string
}

// Txn records the progress of an application in the commit that carries its data.
//
// Protocol: "Transaction Identifiers". At most one per AppID in a commit.
type Txn struct {
	AppID       string
	Version     int64
	LastUpdated *int64 // milliseconds since 1970 UTC
}

// DomainMetadata is a named configuration. Protocol: "Domain Metadata".
type DomainMetadata struct {
	Domain        string
	Configuration string
	Removed       bool
}

// CommitInfo says who did what. It is the first line of every commit that we write.
//
// Protocol: "Commit Provenance Information". Extra keeps every field that is not named here, as it was read.
type CommitInfo struct {
	Timestamp           int64 // milliseconds since 1970 UTC; never used for time travel
	InCommitTimestamp   *int64
	Operation           string
	OperationParameters map[string]string
	ReadVersion         *Version
	IsolationLevel      string
	IsBlindAppend       *bool
	OperationMetrics    map[string]string
	EngineInfo          string
	TxnID               string // ours: the same for every PUT of one piece of work
	UserMetadata        string
	Tags                map[string]string
	Extra               map[string]json.RawMessage
}

// CheckpointMetadata opens a V2 checkpoint. Protocol: "V2 Spec".
type CheckpointMetadata struct {
	Version Version
	Tags    map[string]string
}

// Sidecar names a file with the file actions of a V2 checkpoint. Protocol: "Sidecar File Information".
type Sidecar struct {
	Path             string // normally a bare, URI-encoded file name under _delta_log/_sidecars
	SizeInBytes      int64
	ModificationTime int64 // milliseconds since 1970 UTC
	Tags             map[string]string
}

// DeletionVectorDescriptor says where the deleted rows of one data file are listed.
//
// Protocol: "Deletion Vector Descriptor Schema". SizeInBytes counts the blob with its magic number.
type DeletionVectorDescriptor struct {
	StorageType    string // "u" relative file, "p" absolute URI, "i" inline
	PathOrInlineDv string
	Offset         *int32
	SizeInBytes    int32
	Cardinality    int64 // deleted rows
}

func (*Metadata) isAction()           {}
func (*Protocol) isAction()           {}
func (*Add) isAction()                {}
func (*Remove) isAction()             {}
func (*CDC) isAction()                {}
func (*Txn) isAction()                {}
func (*DomainMetadata) isAction()     {}
func (*CommitInfo) isAction()         {}
func (*CheckpointMetadata) isAction() {}
func (*Sidecar) isAction()            {}
