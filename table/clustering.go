package table

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/table/schemaedit"
	"github.com/lakectl/lakectl/txlog"
)

const (
	// clusteringDomain is the metadata domain that names the clustering columns, physically. Protocol: "Clustered Table".
	clusteringDomain = "delta.clustering"
	// clusteringProvider is who has laid out a file. Files of another one stay as they are.
	clusteringProvider = "lakectl"
	// ClusterColumnsMax is how many columns a table may be clustered by: what Spark takes.
	ClusterColumnsMax = 4
)

// clustering is the configuration of the domain.
type clustering struct {
	Columns [][]string `json:"clusteringColumns"` // physical paths
	Domain  string     `json:"domainName"`
}

// clusteringOf reads the domain of a version; ok is false where it has none or has one that cannot be read.
func clusteringOf(s *txlog.Snapshot) (c clustering, ok bool) {
	d, has := s.Domain(clusteringDomain)
	return c, has && json.Unmarshal([]byte(d.Configuration), &c) == nil
}

// Clustered tells whether optimize lays the table out by columns of its own.
func (t *Table) Clustered() bool {
	c, ok := clusteringOf(t.Snapshot())
	return ok && len(c.Columns) > 0
}

// action is the domain as a commit writes it.
func (c clustering) action() *txlog.DomainMetadata {
	return &txlog.DomainMetadata{Domain: clusteringDomain, Configuration: c.text()}
}

func (c clustering) text() string {
	c.Domain = clusteringDomain
	if c.Columns == nil {
		c.Columns = [][]string{}
	}
	return jsonText(c)
}

// clusterBy judges the columns that a table shall be clustered by. names are those of the schema.
//
// Protocol: "Writer Requirements for Clustered Table". Errors: ErrInvalidRequest.
func (sh shape) clusterBy(columns []string) (c clustering, names []string, err error) {
	if len(columns) > 0 && len(sh.partitionBy) > 0 {
		return c, nil, fmt.Errorf("%w: cluster by: the table is partitioned", ErrInvalidRequest)
	}
	if len(columns) > ClusterColumnsMax {
		return c, nil, fmt.Errorf("%w: cluster by %d columns, at most %d", ErrInvalidRequest, len(columns), ClusterColumnsMax)
	}
	for _, text := range columns {
		p, err := schemaedit.Resolve(sh.schema, text)
		if err != nil {
			return c, nil, fmt.Errorf("%w: cluster by: %w", ErrInvalidRequest, err)
		}
		physical, kind, err := sh.physical(p)
		if err != nil {
			return c, nil, fmt.Errorf("%w: cluster by %s: %w", ErrInvalidRequest, p, err)
		}
		if !hasBounds(kind) {
			return c, nil, fmt.Errorf("%w: cluster by %s: such a column has no bounds", ErrInvalidRequest, p)
		}
		if slices.Contains(names, p.String()) {
			return c, nil, fmt.Errorf("%w: cluster by %s twice", ErrInvalidRequest, p)
		}
		c.Columns, names = append(c.Columns, physical), append(names, p.String())
	}
	return c, names, nil
}

// physical is a path through structs by the names in files, and what it leads to.
func (sh shape) physical(p schemaedit.Path) ([]string, txlog.Kind, error) {
	out := make([]string, len(p))
	var kind txlog.Kind
	for i := range p {
		f, err := schemaedit.Field(sh.schema, p[:i+1])
		if err != nil {
			return nil, kind, err
		}
		out[i], kind = f.PhysicalName(sh.mapping), f.Type.Kind
	}
	return out, kind, nil
}

// logical finds the column of a physical path.
func (sh shape) logical(path []string) (schemaedit.Path, bool) {
	fields, out := sh.schema.Fields, schemaedit.Path{}
	for _, name := range path {
		i := slices.IndexFunc(fields, func(f txlog.Field) bool { return f.PhysicalName(sh.mapping) == name })
		if i < 0 {
			return nil, false
		}
		out = append(out, fields[i].Name)
		fields = fields[i].Type.Fields
	}
	return out, len(out) > 0
}

// reclustered is the domain that the change writes; nil when it keeps the one that there is.
func (c *Change) reclustered() *txlog.DomainMetadata {
	for _, a := range c.first {
		if d, ok := a.(*txlog.DomainMetadata); ok && d.Domain == clusteringDomain {
			return d
		}
	}
	return nil
}

// keepsClustering refuses a schema without the columns that the table is clustered by.
func (c *Change) keepsClustering(sh shape) error {
	if c.base == nil {
		return nil
	}
	if c.reclustered() != nil {
		return nil
	}
	by, _ := clusteringOf(c.base)
	for _, path := range by.Columns {
		if _, there := sh.logical(path); !there {
			return fmt.Errorf("%w: the table is clustered by %s, which the new columns lack", ErrSchemaMismatch, strings.Join(path, "."))
		}
	}
	return nil
}

// clusterColumns are the columns that a layout of a clustered table follows, by name; none where it is not clustered.
func clusterColumns(s *txlog.Snapshot) ([]string, error) {
	by, clustered := clusteringOf(s)
	if !clustered || len(by.Columns) == 0 {
		return nil, nil
	}
	sh, err := shapeOf(s)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, path := range by.Columns {
		p, there := sh.logical(path)
		if !there {
			return nil, fmt.Errorf("%w: domain %s: no column %s", txlog.ErrCorruptLog, clusteringDomain, clip(strings.Join(path, ".")))
		}
		names = append(names, orderColumn(p).name())
	}
	return names, nil
}
