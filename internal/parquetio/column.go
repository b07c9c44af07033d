package parquetio

// Kind is the family of a column's values. In Go, values of WriteRow and of rows that are read are:
// bool; int64 for the whole numbers, dates (days since 1970) and timestamps (microseconds since 1970);
// float64; *big.Int, unscaled, for decimals; string; []byte; []any for structs (in field order) and lists;
// []Entry for maps; nil for NULL.
type Kind uint8

// The kinds. KindUnknown is a column of a file whose type has no counterpart here; its values cannot be read.
const (
	KindUnknown Kind = iota
	KindBoolean
	KindByte
	KindShort
	KindInteger
	KindLong
	KindFloat
	KindDouble
	KindDecimal
	KindString
	KindBinary
	KindDate
	KindTimestamp    // an instant
	KindTimestampNTZ // a wall clock without a zone
	KindStruct
	KindList
	KindMap
)

// String is the kind's name for messages.
func (k Kind) String() string {
	names := [...]string{
		"unknown", "boolean", "byte", "short", "integer", "long", "float", "double", "decimal",
		"string", "binary", "date", "timestamp", "timestamp_ntz", "struct", "list", "map",
	}
	if int(k) < len(names) {
		return names[k]
	}
	return names[0]
}

// Column describes one column, with everything below it. Writers read the exported fields; files fill in the rest.
type Column struct {
	Name             string
	Kind             Kind
	Precision, Scale int // KindDecimal; a file's timestamps and dates have none
	Nullable         bool
	FieldID          int       // 0 means none
	Fields           []*Column // KindStruct
	Element          *Column   // KindList
	Key, Value       *Column   // KindMap

	leaf             int      // index among the leaves of the file; -1 for groups
	path             []string // of the leaf, as the file spells it
	unit             unit
	size             int   // bytes of a fixed-length value
	rep, def         uint8 // levels of the value itself
	listRep, listDef uint8 // levels of the repeated group of a list or map
}

// unit tells how a file stores what we hand out in one form.
type unit uint8

const (
	unitPlain unit = iota
	unitMillis
	unitNanos
	unitInt96
	unitBytes // a decimal in bytes, big endian
	unitUnsigned
)

// Field returns the field of a struct by its exact name, nil when there is none.
func (c *Column) Field(name string) *Column {
	if c == nil {
		return nil
	}
	for _, f := range c.Fields {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// Lookup follows a path of exact names through structs, nil when it leads nowhere.
func (c *Column) Lookup(path ...string) *Column {
	for _, name := range path {
		c = c.Field(name)
	}
	return c
}

// Leaf tells whether the column holds values itself.
func (c *Column) Leaf() bool { return c.leaf >= 0 }

// MaxDefinition is the definition level of a value that is there.
func (c *Column) MaxDefinition() uint8 { return c.def }

// leaves visits the columns that hold values, in the order of the file.
func (c *Column) leaves(visit func(*Column)) {
	switch c.Kind {
	case KindStruct:
		for _, f := range c.Fields {
			f.leaves(visit)
		}
	case KindList:
		c.Element.leaves(visit)
	case KindMap:
		c.Key.leaves(visit)
		c.Value.leaves(visit)
	default:
		visit(c)
	}
}

// Entry is one pair of a map.
type Entry struct{ Key, Value any }
