package txlog

import (
	"encoding/json"
	"strconv"
	"strings"
)

// StatsColumns says which leaves of a schema get statistics. The zero value means none.
type StatsColumns struct{ leaves map[string]bool }

// defaultIndexedColumns is the number of leaves with statistics when the table does not say.
const defaultIndexedColumns = 32

// DefaultStatsColumns applies the table's properties: delta.dataSkippingStatsColumns if set (a struct name means its
// leaves), else the first delta.dataSkippingNumIndexedCols leaves in schema order, 32 when absent; -1 means all. An
// array or a map counts as one leaf. Partition columns have none; clustering columns are added by WithClustering.
func DefaultStatsColumns(schema *Schema, mapping ColumnMapping, partitionColumns []string, properties map[string]string) StatsColumns {
	c := StatsColumns{leaves: map[string]bool{}}
	partition := map[string]bool{}
	for _, name := range partitionColumns {
		if f, err := schema.Lookup(name); err == nil {
			partition[f.Name] = true
		}
	}
	named := splitNames(properties["delta.dataSkippingStatsColumns"])
	_, isNamed := properties["delta.dataSkippingStatsColumns"]
	left, err := strconv.ParseInt(properties["delta.dataSkippingNumIndexedCols"], 10, 64)
	if err != nil {
		left = defaultIndexedColumns
	}
	var walk func(fields []Field, logical string, physical []string, chosen bool)
	walk = func(fields []Field, logical string, physical []string, chosen bool) {
		for _, f := range fields {
			name := logical + strings.ToLower(f.Name)
			path := append(append([]string(nil), physical...), f.PhysicalName(mapping))
			mine := chosen || named[name]
			switch {
			case logical == "" && partition[f.Name]:
			case f.Type.Kind == KindStruct:
				walk(f.Type.Fields, name+".", path, mine)
			case isNamed:
				if mine {
					c.leaves[pathKey(path)] = true
				}
			case left != 0:
				left--
				c.leaves[pathKey(path)] = true
			}
		}
	}
	walk(schema.Fields, "", nil, false)
	return c
}

// Has tells whether a leaf, or an array or map, gets statistics.
func (c StatsColumns) Has(physicalPath []string) bool { return c.leaves[pathKey(physicalPath)] }

// WithClustering adds the clustering columns, which always have statistics. configuration is that of the domain
// delta.clustering; one that cannot be read adds nothing.
func (c StatsColumns) WithClustering(configuration string) StatsColumns {
	var columns struct {
		ClusteringColumns [][]string `json:"clusteringColumns"`
	}
	if json.Unmarshal([]byte(configuration), &columns) != nil {
		return c
	}
	out := StatsColumns{leaves: map[string]bool{}}
	for k := range c.leaves {
		out.leaves[k] = true
	}
	for _, path := range columns.ClusteringColumns {
		out.leaves[pathKey(path)] = true
	}
	return out
}

func pathKey(path []string) string { return strings.Join(path, "\x00") }

// splitNames reads a list of column names, with dots between levels and backticks around odd ones, lower case.
func splitNames(list string) map[string]bool {
	names := map[string]bool{}
	var name strings.Builder
	quoted := false
	flush := func() {
		if s := strings.TrimSpace(name.String()); s != "" {
			names[strings.ToLower(s)] = true
		}
		name.Reset()
	}
	for _, c := range list {
		switch {
		case c == '`':
			quoted = !quoted
		case c == ',' && !quoted:
			flush()
		default:
			name.WriteRune(c)
		}
	}
	flush()
	return names
}
