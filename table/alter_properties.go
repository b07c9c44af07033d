package table

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// setProperties changes properties, and turns on what they stand for.
func (x *alteration) setProperties(a Alter) error {
	if len(a.SetProperties) == 0 {
		return nil
	}
	request, err := readProperties(a.SetProperties)
	if err != nil {
		return err
	}
	x.asked = append(x.asked, request.asked...)
	if err := x.setMapping(request.stored); err != nil {
		return err
	}
	set := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(request.stored)) {
		value := request.stored[key]
		if old, has := x.meta.Configuration[key]; has && old == value {
			continue
		}
		x.meta.Configuration[key], set[key] = value, value
		x.changed("property %s = %s", key, clip(value))
	}
	trackRows(x.meta.Configuration, x.t.opts.Log.Rand)
	if len(set) > 0 {
		x.step("SET TBLPROPERTIES", map[string]string{"properties": jsonText(set)})
	}
	return x.checkSet(set)
}

// setMapping judges a new mode of column mapping. An existing table may only go from none to name: its columns keep
// their names in files, and get ids.
//
// Protocol: "Column Mapping", "Writer Requirements for Column Mapping".
func (x *alteration) setMapping(set map[string]string) error {
	text, has := set[propMappingMode]
	if !has {
		return nil
	}
	mode, err := txlog.ParseMapping(text)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProperty, err)
	}
	set[propMappingMode] = mode.String()
	switch {
	case mode == x.mapping:
		if mode == txlog.MappingNone {
			delete(set, propMappingMode) // as it is without
		}
		return nil
	case x.mapping != txlog.MappingNone || mode != txlog.MappingName:
		return fmt.Errorf("%w: %s can go from none to name only, and is %s", ErrProperty, propMappingMode, x.mapping)
	}
	// Ids and physical names that were left in the schema mean nothing: the files have the columns' own names.
	sh := shape{schema: txlog.WithoutMapping(x.schema), properties: x.meta.Configuration}
	sh.mapColumns(mode, func(name string) string { return name })
	x.schema, x.mapping = sh.schema, mode
	delete(x.meta.Configuration, propMappingMode) // setProperties sets it, and says so
	return nil
}

// checkSet judges properties by what the table is and was.
func (x *alteration) checkSet(set map[string]string) error {
	if _, has := set[propTxnRetention]; has {
		for id := range x.base.Txns() {
			if strings.HasPrefix(id, "lake/") {
				return fmt.Errorf("%w: %s: pipelines keep their progress in this table, and it must not expire", ErrProperty, propTxnRetention)
			}
		}
	}
	// Files that are there lack partition columns or ids that Iceberg readers need.
	now := shape{properties: x.meta.Configuration}
	if before := (shape{properties: x.base.Metadata().Configuration}); now.iceberg() && !before.iceberg() && x.base.Files().Len() > 0 {
		return fmt.Errorf("%w: compatibility with Iceberg is for tables without files: make a new one with the property", ErrUnsupported)
	}
	return checkRetention(x.meta.Configuration)
}

// checkRetention demands that the log lives at least as long as removed files.
func checkRetention(configuration map[string]string) error {
	text, set := configuration[propLogRetention]
	if !set {
		return nil
	}
	log, err := txlog.ParseInterval(text)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrProperty, propLogRetention, err)
	}
	files := txlog.DefaultDeletedFileRetention
	if text, set := configuration[propFileRetention]; set {
		if files, err = txlog.ParseInterval(text); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrProperty, propFileRetention, err)
		}
	}
	if log < files {
		return fmt.Errorf("%w: %s (%s) is shorter than %s (%s)", ErrProperty, propLogRetention, log, propFileRetention, files)
	}
	return nil
}

// unsetProperties takes properties away. One that the table does not have is an error: nothing would happen.
func (x *alteration) unsetProperties(a Alter) error {
	var gone []string
	for _, key := range a.UnsetProperties {
		stored := ""
		for have := range x.meta.Configuration {
			if have == key || strings.EqualFold(have, key) && strings.HasPrefix(strings.ToLower(have), "delta.") {
				stored = have
			}
		}
		switch {
		case stored == "":
			return fmt.Errorf("%w: the table has no property %q", ErrProperty, key)
		case keptProperty(stored), stored == propMappingMode:
			return fmt.Errorf("%w: %s cannot be taken away", ErrProperty, stored)
		case isConstraintKey(stored):
			return fmt.Errorf("%w: %s is a constraint, which is dropped by its name", ErrProperty, stored)
		}
		delete(x.meta.Configuration, stored)
		gone = append(gone, stored)
		x.changed("property %s is gone", stored)
	}
	if len(gone) > 0 {
		x.step("UNSET TBLPROPERTIES", map[string]string{"properties": jsonText(gone), "ifExists": "false"})
	}
	return checkRetention(x.meta.Configuration)
}

// addFeatures asks for features by name.
func (x *alteration) addFeatures(a Alter) error {
	x.asked = append(x.asked, a.AddFeatures...)
	if len(x.asked) > 0 {
		x.step("UPGRADE PROTOCOL", map[string]string{"features": jsonText(x.asked)})
	}
	return nil
}
