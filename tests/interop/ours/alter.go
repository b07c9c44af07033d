package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// alteration is what a request of kind alter asks for.
type alteration struct {
	Unset       []string          `json:"unset"`
	Features    []string          `json:"features"`
	Add         string            `json:"add"`    // columns as in create
	Rename      map[string]string `json:"rename"` // old name to new
	Drop        []string          `json:"drop"`
	Retype      map[string]string `json:"retype"` // column to type
	NotNull     []string          `json:"not_null"`
	Constraints map[string]string `json:"constraints"` // name to expression
	NoLonger    []string          `json:"no_longer"`   // constraints to drop
}

func (r request) alter() (table.Alter, error) {
	a := table.Alter{SetProperties: r.Properties, UnsetProperties: r.Unset, AddFeatures: r.Features, DropColumns: r.Drop, DropConstraints: r.NoLonger}
	if r.ClusterBy != nil {
		a.ClusterBy = &r.ClusterBy
	}
	for _, from := range slices.Sorted(maps.Keys(r.Rename)) {
		a.RenameColumns = append(a.RenameColumns, table.RenameColumn{Column: from, To: r.Rename[from]})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Constraints)) {
		a.AddConstraints = append(a.AddConstraints, table.AddConstraint{Name: name, Expression: r.Constraints[name]})
	}
	if r.Add != "" {
		columns, err := txlog.ParseColumns(r.Add)
		if err != nil {
			return a, err
		}
		for _, f := range columns.Fields {
			a.AddColumns = append(a.AddColumns, table.AddColumn{Column: f.Name, Type: f.Type})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Retype)) {
		t, err := txlog.ParseType(r.Retype[name])
		if err != nil {
			return a, fmt.Errorf("column %s: %w", name, err)
		}
		a.ChangeColumns = append(a.ChangeColumns, table.ChangeColumn{Column: name, Type: t})
	}
	for _, name := range r.NotNull {
		never := false
		a.ChangeColumns = append(a.ChangeColumns, table.ChangeColumn{Column: name, Nullable: &never})
	}
	return a, nil
}
