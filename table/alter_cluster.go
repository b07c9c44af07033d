package table

import (
	"slices"
	"strings"

	"github.com/lakectl/lakectl/table/schemaedit"
	"github.com/lakectl/lakectl/txlog"
)

// readClustering notes the clustering columns of the table.
func (x *alteration) readClustering() {
	c, _ := clusteringOf(x.base)
	x.clusters = c.Columns
}

// shape is the table as the changes so far leave it.
func (x *alteration) shape() shape {
	return shape{schema: x.schema, mapping: x.mapping, partitionBy: x.meta.PartitionColumns, properties: x.meta.Configuration}
}

// clustered tells whether a clustering column lies at the path or below.
func (x *alteration) clustered(p schemaedit.Path) bool {
	physical, _, err := x.shape().physical(p)
	return err == nil && slices.ContainsFunc(x.clusters, func(c []string) bool {
		return len(c) >= len(physical) && slices.EqualFunc(c[:len(physical)], physical, strings.EqualFold)
	})
}

// setClustering changes the columns that layouts follow.
//
// Protocol: "Clustered Table": never together with partition columns; the feature is needed from the first time on.
func (x *alteration) setClustering(a Alter) error {
	if a.ClusterBy == nil {
		return nil
	}
	c, names, err := x.shape().clusterBy(*a.ClusterBy)
	if err != nil {
		return err
	}
	if slices.EqualFunc(c.Columns, x.clusters, func(a, b []string) bool { return slices.Equal(a, b) }) {
		return nil
	}
	x.domain = c.action()
	x.asked = append(x.asked, txlog.FeatureClustering)
	x.changed("clustered by %s", orNone(strings.Join(names, ", ")))
	x.step("CLUSTER BY", map[string]string{"newClusteringColumns": strings.Join(names, ",")})
	return nil
}
