package table

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// Property keys that decide how rows are written. Protocol: "Table Properties" (delta.md §10).
const (
	propAppendOnly      = "delta.appendOnly"
	propCodec           = "delta.parquet.compression.codec"
	propDeletionVectors = "delta.enableDeletionVectors"
	propMappingMode     = "delta.columnMapping.mode"
	propTargetFileSize  = "delta.targetFileSize"
)

// propertyCheck judges the text of one property.
type propertyCheck func(value string) error

// propertyChecks holds the properties that may be set when a table is created, keys as they are stored.
func propertyChecks() map[string]propertyCheck {
	return map[string]propertyCheck{
		propAppendOnly:                          checkBool,
		"delta.checkpointInterval":              checkCount(1),
		"delta.checkpointPolicy":                checkOneOf("classic", "v2"),
		"delta.checkpoint.writeStatsAsJson":     checkBool,
		"delta.checkpoint.writeStatsAsStruct":   checkBool,
		"delta.logRetentionDuration":            checkInterval,
		"delta.deletedFileRetentionDuration":    checkInterval,
		"delta.enableExpiredLogCleanup":         checkBool,
		"delta.setTransactionRetentionDuration": checkInterval,
		"delta.enableChangeDataFeed":            checkBool,
		propDeletionVectors:                     checkBool,
		"delta.isolationLevel":                  checkOneOf("Serializable", "WriteSerializable"),
		"delta.dataSkippingNumIndexedCols":      checkCount(-1),
		"delta.dataSkippingStatsColumns":        checkNothing,
		"delta.dataSkippingStringPrefixLength":  checkCount(1),
		propTargetFileSize:                      checkSize,
		"delta.autoOptimize.optimizeWrite":      checkBool,
		"delta.autoOptimize.autoCompact":        checkBool,
		"delta.randomizeFilePrefixes":           checkBool,
		"delta.randomPrefixLength":              checkCount(1),
		propMappingMode:                         checkOneOf("none", "name", "id"),
		"delta.enableTypeWidening":              checkBool,
		"delta.enableRowTracking":               checkBool,
		"delta.enableInCommitTimestamps":        checkBool,
		"delta.enableIcebergCompatV1":           checkBool,
		"delta.enableIcebergCompatV2":           checkBool,
		"delta.enableVariantShredding":          checkBool,
		propCodec:                               checkOneOf("uncompressed", "none", "snappy", "gzip", "lz4_raw", "zstd"),
		"delta.parquet.format.version":          checkOneOf("1.0.0"),
	}
}

// checkProperties returns properties as they are stored: known keys spelled right, values checked, instructions
// (features and protocol versions) left out. Keys without the delta. prefix belong to users and pass as they are.
//
// Errors: ErrProperty, once for every problem.
func checkProperties(properties map[string]string) (map[string]string, error) {
	known := propertyChecks()
	spelled := make(map[string]string, len(known))
	for key := range known {
		spelled[strings.ToLower(key)] = key
	}
	out := make(map[string]string, len(properties))
	var problems []error
	for key, value := range properties {
		lower := strings.ToLower(key)
		if !strings.HasPrefix(lower, "delta.") {
			out[key] = value
			continue
		}
		canonical, ok := spelled[lower]
		if !ok {
			problems = append(problems, fmt.Errorf("%w: %q is not a property that can be set here", ErrProperty, key))
			continue
		}
		if err := known[canonical](value); err != nil {
			problems = append(problems, fmt.Errorf("%w: %s: %w", ErrProperty, canonical, err))
			continue
		}
		out[canonical] = value
	}
	return out, errors.Join(problems...)
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
