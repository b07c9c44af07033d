package table

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/table/schemaedit"
	"github.com/lakectl/lakectl/txlog"
)

// clusteringDomain is the metadata domain that names the clustering columns, physically. Protocol: "Clustered Table".
const clusteringDomain = "delta.clustering"

// clustering is the configuration of the domain.
type clustering struct {
	Columns [][]string `json:"clusteringColumns"`
	Domain  string     `json:"domainName"`
}

// readClustering notes the clustering columns of the table.
func (x *alteration) readClustering() {
	d, has := x.base.Domain(clusteringDomain)
	var c clustering
	if has && json.Unmarshal([]byte(d.Configuration), &c) == nil {
		x.clusters = c.Columns
	}
}

// clustered tells whether a clustering column lies at the path or below.
func (x *alteration) clustered(p schemaedit.Path) bool {
	physical, err := x.physicalPath(p)
	return err == nil && slices.ContainsFunc(x.clusters, func(c []string) bool {
		return len(c) >= len(physical) && slices.EqualFunc(c[:len(physical)], physical, strings.EqualFold)
	})
}

// physicalPath is a path through structs by the names in files.
func (x *alteration) physicalPath(p schemaedit.Path) ([]string, error) {
	out := make([]string, len(p))
	for i := range p {
		f, err := schemaedit.Field(x.schema, p[:i+1])
		if err != nil {
			return nil, err
		}
		out[i] = f.PhysicalName(x.mapping)
	}
	return out, nil
}

// setClustering changes the columns that layouts follow.
//
// Protocol: "Clustered Table": never together with partition columns; the feature is needed from the first time on.
func (x *alteration) setClustering(a Alter) error {
	if a.ClusterBy == nil {
		return nil
	}
	if len(*a.ClusterBy) > 0 && len(x.meta.PartitionColumns) > 0 {
		return fmt.Errorf("%w: cluster by: the table is partitioned", ErrInvalidRequest)
	}
	columns, names := [][]string{}, []string{}
	for _, text := range *a.ClusterBy {
		p, err := x.column("cluster by", text)
		if err != nil {
			return err
		}
		f, err := schemaedit.Field(x.schema, p)
		if err != nil {
			return fmt.Errorf("%w: cluster by %s: %w", ErrInvalidRequest, p, err)
		}
		if !hasBounds(f.Type.Kind) {
			return fmt.Errorf("%w: cluster by %s: a column of type %s has no bounds", ErrInvalidRequest, p, f.Type.SQL())
		}
		physical, err := x.physicalPath(p)
		if err != nil {
			return fmt.Errorf("%w: cluster by %s: %w", ErrInvalidRequest, p, err)
		}
		columns, names = append(columns, physical), append(names, p.String())
	}
	if slices.EqualFunc(columns, x.clusters, func(a, b []string) bool { return slices.Equal(a, b) }) {
		return nil
	}
	x.domain = &txlog.DomainMetadata{
		Domain: clusteringDomain, Configuration: jsonText(clustering{Columns: columns, Domain: clusteringDomain}),
	}
	x.asked = append(x.asked, txlog.FeatureClustering)
	x.changed("clustered by %s", orNone(strings.Join(names, ", ")))
	x.step("CLUSTER BY", map[string]string{"newClusteringColumns": strings.Join(names, ",")})
	return nil
}
