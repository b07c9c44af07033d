package table

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/txlog"
)

// newPhysicalName makes names for data files that no column has had before.
func newPhysicalName(r clock.Rand) func(string) string {
	return func(string) string { return "col-" + clock.NewUUID(r) }
}

// mapNewColumns gives the columns of a new table their ids and physical names where column mapping is on, and turns
// it on where a name needs it.
//
// Protocol: "Column Mapping". Errors: ErrProperty where a name needs column mapping and the properties forbid it.
func (sh *shape) mapNewColumns(physical func(name string) string) error {
	sh.schema = txlog.WithoutMapping(sh.schema) // of the table that the schema was taken from
	text, set := sh.properties[propMappingMode]
	mode, err := txlog.ParseMapping(text)
	if err != nil {
		return nil //nolint:nilerr // readProperties has told
	}
	if odd := oddName(sh.schema.Fields, ""); odd != "" && mode == txlog.MappingNone {
		if set {
			return fmt.Errorf("%w: column name %q needs column mapping, and %s is none", ErrProperty, odd, propMappingMode)
		}
		mode = txlog.MappingName
	}
	if mode != txlog.MappingNone {
		sh.mapColumns(mode, physical)
	}
	return nil
}

// mapColumns gives columns that lack them ids and physical names, under a mode that is on, and ids to elements, keys and
// values where Iceberg readers need them.
func (sh *shape) mapColumns(mode txlog.ColumnMapping, physical func(name string) string) {
	last, err := strconv.Atoi(sh.properties[txlog.MaxColumnIDKey])
	if err != nil {
		last = 0 // the ids of the schema tell
	}
	sh.schema, last = txlog.AssignMapping(sh.schema, last, physical)
	if boolProperty(sh.properties, propIcebergV2) {
		sh.schema, last = txlog.AssignNestedIDs(sh.schema, last)
	}
	sh.mapping = mode
	sh.properties[propMappingMode], sh.properties[txlog.MaxColumnIDKey] = mode.String(), strconv.Itoa(last)
}

// oddName is the first name, at any level, that cannot stand in a data file as it is.
func oddName(fields []txlog.Field, parent string) string {
	for _, f := range fields {
		if strings.ContainsAny(f.Name, oddCharacters) {
			return parent + f.Name
		}
		if odd := oddNameIn(f.Type, parent+f.Name+"."); odd != "" {
			return odd
		}
	}
	return ""
}

func oddNameIn(t *txlog.DataType, parent string) string {
	switch t.Kind {
	case txlog.KindStruct:
		return oddName(t.Fields, parent)
	case txlog.KindArray:
		return oddNameIn(t.Element, parent+"element.")
	case txlog.KindMap:
		if odd := oddNameIn(t.Key, parent+"key."); odd != "" {
			return odd
		}
		return oddNameIn(t.Value, parent+"value.")
	default:
		return ""
	}
}

// remapped keeps column mapping on in the metadata of an older version of s, whose columns had none: a mode that is on
// stays on. The physical names are the names that its columns had then; those that live on under another name keep
// their ids.
//
// Protocol: "Column Mapping". Errors: ErrUnsupported for every other change of the mode.
func remapped(out *txlog.Metadata, s, target *txlog.Snapshot) error {
	if s.Mapping() == target.Mapping() {
		return nil
	}
	if target.Mapping() != txlog.MappingNone || s.Mapping() != txlog.MappingName {
		return fmt.Errorf("%w: version %d has column mapping %q and the table now has %q, which cannot be turned back",
			ErrUnsupported, target.Version(), target.Mapping(), s.Mapping())
	}
	old, err := target.Schema()
	if err != nil {
		return err
	}
	now, err := s.Schema()
	if err != nil {
		return err
	}
	sh := shape{schema: txlog.MatchPhysical(txlog.WithoutMapping(old), now), properties: out.Configuration}
	sh.mapColumns(txlog.MappingName, func(name string) string { return name })
	out.SchemaString = sh.schema.JSON()
	return nil
}
