package table

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// Property keys that decide how rows are written. Protocol: "Table Properties" (delta.md §10).
const (
	propAppendOnly      = "delta.appendOnly"
	propFileRetention   = "delta.deletedFileRetentionDuration"
	propLogRetention    = "delta.logRetentionDuration"
	propStatsColumns    = "delta.dataSkippingStatsColumns"
	propTxnRetention    = "delta.setTransactionRetentionDuration"
	propCodec           = "delta.parquet.compression.codec"
	propDeletionVectors = "delta.enableDeletionVectors"
	propMappingMode     = txlog.MappingModeKey
	propTargetFileSize  = "delta.targetFileSize"
	propTypeWidening    = "delta.enableTypeWidening"
	propIcebergV1       = "delta.enableIcebergCompatV1"
	propIcebergV2       = "delta.enableIcebergCompatV2"
)

// propertyCheck judges the text of one property.
type propertyCheck func(value string) error

// propertyChecks holds the properties that may be set when a table is created, keys as they are stored.
func propertyChecks() map[string]propertyCheck {
	return map[string]propertyCheck{
		propAppendOnly:                         checkBool,
		"delta.checkpointInterval":             checkCount(1),
		"delta.checkpointPolicy":               checkOneOf("classic", "v2"),
		txlog.CompactionIntervalKey:            checkCount(0),
		"delta.checkpoint.writeStatsAsJson":    checkBool,
		"delta.checkpoint.writeStatsAsStruct":  checkBool,
		propLogRetention:                       checkInterval,
		propFileRetention:                      checkInterval,
		"delta.enableExpiredLogCleanup":        checkBool,
		propTxnRetention:                       checkInterval,
		"delta.enableChangeDataFeed":           checkBool,
		propDeletionVectors:                    checkBool,
		"delta.isolationLevel":                 checkOneOf("Serializable", "WriteSerializable"),
		"delta.dataSkippingNumIndexedCols":     checkCount(-1),
		propStatsColumns:                       checkNothing,
		"delta.dataSkippingStringPrefixLength": checkCount(1),
		propTargetFileSize:                     checkSize,
		"delta.autoOptimize.optimizeWrite":     checkBool,
		"delta.autoOptimize.autoCompact":       checkBool,
		"delta.randomizeFilePrefixes":          checkBool,
		"delta.randomPrefixLength":             checkCount(1),
		propMappingMode:                        checkOneOf("none", "name", "id"),
		propTypeWidening:                       checkBool,
		txlog.RowTrackingKey:                   checkBool,
		txlog.RowTrackingSuspendedKey:          checkBool,
		"delta.enableInCommitTimestamps":       checkBool,
		propIcebergV1:                          checkBool,
		propIcebergV2:                          checkBool,
		"delta.enableVariantShredding":         checkBool,
		propCodec:                              checkOneOf("uncompressed", "none", "snappy", "gzip", "lz4_raw", "zstd"),
		"delta.parquet.format.version":         checkOneOf("1.0.0"),
	}
}

// propertyRequest is what a SET of properties asks for.
type propertyRequest struct {
	stored map[string]string // keys as they are stored
	asked  []string          // table features
}

// Instructions that stand among properties and are never stored.
const (
	featurePrefix    = "delta.feature."
	propMinReader    = "delta.minReaderVersion"
	propMinWriter    = "delta.minWriterVersion"
	featureSupported = "supported"
)

// readProperties reads properties as people set them: known keys spelled right, values checked, instructions (features
// and protocol versions) taken out. Other keys without the delta. prefix belong to
// users and pass as they are.
//
// Errors: ErrProperty, once for every problem.
func readProperties(properties map[string]string) (propertyRequest, error) {
	known := propertyChecks()
	spelled := make(map[string]string, len(known))
	for key := range known {
		spelled[strings.ToLower(key)] = key
	}
	out := propertyRequest{stored: make(map[string]string, len(properties))}
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		value, lower := properties[key], strings.ToLower(key)
		canonical, ok := spelled[lower]
		var err error
		switch {
		case !ok && !strings.HasPrefix(lower, "delta."):
			out.stored[key] = value
			continue
		case strings.HasPrefix(lower, featurePrefix), strings.EqualFold(key, propMinReader), strings.EqualFold(key, propMinWriter):
			err = out.instruct(key, value)
		case !ok:
			err = fmt.Errorf("%w: %q is not a property that can be set here", ErrProperty, key)
		default:
			if err = known[canonical](value); err != nil {
				err = fmt.Errorf("%w: %s: %w", ErrProperty, canonical, err)
			}
			out.stored[canonical] = value
		}
		problems = append(problems, err)
	}
	return out, errors.Join(problems...)
}

// instruct reads delta.feature.X = supported and the versions of the protocol, which stand for the features that they
// imply.
func (r *propertyRequest) instruct(key, value string) error {
	if name := key[min(len(key), len(featurePrefix)):]; strings.HasPrefix(strings.ToLower(key), featurePrefix) {
		if name == "" || !strings.EqualFold(value, featureSupported) {
			return fmt.Errorf("%w: %s can only be %q", ErrProperty, key, featureSupported)
		}
		r.asked = append(r.asked, name)
		return nil
	}
	most := 7
	if strings.EqualFold(key, propMinReader) {
		most = 3
	}
	n, err := strconv.Atoi(strings.TrimSpace(value))
	switch {
	case err != nil || n < 1 || n > most:
		return fmt.Errorf("%w: %s: %q is not a version from 1 to %d", ErrProperty, key, clip(value), most)
	case most == 3:
		r.asked = append(r.asked, txlog.FeaturesOfVersions(n, 0)...)
	default:
		r.asked = append(r.asked, txlog.FeaturesOfVersions(0, n)...)
	}
	return nil
}

// Like is a request for a table with the columns, partitioning, properties and rules of another one, and without what
// happened to that one alone.
//
// Errors: those of its schema.
func Like(s *txlog.Snapshot) (Create, error) {
	schema, err := s.Schema()
	if err != nil {
		return Create{}, err
	}
	c := Create{
		Schema: &txlog.Schema{Fields: slices.Clone(schema.Fields)}, PartitionBy: slices.Clone(s.PartitionColumns()), Properties: map[string]string{},
	}
	for i, f := range c.Schema.Fields {
		if id, err := f.Identity(); err == nil && id != nil {
			id.HighWaterMark = nil
			c.Schema.Fields[i] = f.WithIdentity(id)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.Metadata().Configuration)) {
		value := s.Metadata().Configuration[key]
		switch {
		case isConstraintKey(key):
			c.Constraints = append(c.Constraints, AddConstraint{Name: key[len(constraintPrefix):], Expression: value})
		case !keptProperty(key):
			c.Properties[key] = value
		}
	}
	return c, nil
}

// keptProperty tells whether the log itself keeps a property: nobody may set it.
func keptProperty(key string) bool {
	switch key {
	case txlog.MaxColumnIDKey, "delta.inCommitTimestampEnablementVersion", "delta.inCommitTimestampEnablementTimestamp",
		txlog.RowIDColumnKey, txlog.RowVersionColumnKey:
		return true
	}
	return false
}

func checkNothing(string) error { return nil }

func checkBool(v string) error {
	if !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") {
		return fmt.Errorf("%q is not true or false", clip(v))
	}
	return nil
}

func checkCount(least int64) propertyCheck {
	return func(v string) error {
		if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 32); err != nil || n < least {
			return fmt.Errorf("%q is not a whole number of at least %d", clip(v), least)
		}
		return nil
	}
}

func checkOneOf(values ...string) propertyCheck {
	return func(v string) error {
		for _, w := range values {
			if strings.EqualFold(v, w) {
				return nil
			}
		}
		return fmt.Errorf("%q is not one of %s", clip(v), strings.Join(values, ", "))
	}
}

func checkSize(v string) error {
	_, err := parseSize(v)
	return err
}

func checkInterval(v string) error {
	_, err := txlog.ParseInterval(v)
	return err
}

// boolProperty reads a boolean property; absent is false.
func boolProperty(properties map[string]string, key string) bool {
	return strings.EqualFold(strings.TrimSpace(properties[key]), "true")
}
